"""The TOML scanner finds the line of every key."""

import tomllib

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.settings.lines import key_lines, line_of

TEXT = '''# a comment = 1
[gateway]
name = "x # not a comment"

identities = [
    "ZZ:ONE",  # the first
    "ZZ:TWO",
]
"quoted key".inner = 5

[mailbox.orders]
host = """
[not.a.table]
x = 1
"""
deep = { a = 1, b = [ {c = 2},
  {c = 3} ] }

[[rule]]
name = 'a'
[rule.extra]
k = 1
[[rule]]
name = \'\'\'b
\'\'\'\'\'
[ rule . extra ]
k = 2020-01-01 10:00:00
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("gateway",), 2),
        (("gateway", "name"), 3),
        (("gateway", "identities"), 5),
        (("gateway", "identities", 1), 7),
        (("gateway", "quoted key", "inner"), 9),
        (("mailbox",), 11),
        (("mailbox", "orders", "host"), 12),
        (("mailbox", "orders", "deep", "a"), 16),
        (("mailbox", "orders", "deep", "b", 1, "c"), 17),
        (("rule", 0, "name"), 20),
        (("rule", 0, "extra", "k"), 22),
        (("rule", 1, "name"), 24),
        (("rule", 1, "extra", "k"), 27),
        (("gateway", "absent"), 2),
        (("nothing", "here"), 1),
    ],
)
def test_line_of_finds_the_key_or_the_nearest_table_above(path, line):
    assert tomllib.loads(TEXT)
    assert line_of(key_lines(TEXT), path) == line


def test_a_header_in_a_multi_line_string_is_not_a_table():
    assert ("not", "a", "table") not in key_lines(TEXT)


def paths_of(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from paths_of(inner, (*path, key))


keys = st.text(min_size=1, max_size=6)
scalars = st.one_of(st.integers(-9, 9), st.booleans(), st.text(max_size=12), st.floats(allow_nan=False), st.dates())
documents = st.dictionaries(
    keys,
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(documents, st.booleans())
def test_every_key_that_tomllib_finds_has_a_line_and_no_other(document, multiline):
    text = tomli_w.dumps(document, multiline_strings=multiline)
    assert set(key_lines(text)) == set(paths_of(tomllib.loads(text)))
