"""docs/reference/profile.md: every key, its allowed values and its default, as the code has them."""

import re
from enum import Enum
from pathlib import Path

import pytest

from gateway.settings.model import Kept
from gateway.values import defaults
from partners.calendar import Calendar
from partners.model import (
    AcknowledgmentPolicy,
    Agreement,
    Delivery,
    EnvelopeSettings,
    Expected,
    MailSettings,
    Partner,
    Security,
    Separators,
    Storage,
)
from partners.profile import read_profile
from partners.profile_keys import all_keys
from partners.profile_values import LINE_ENDINGS, line_ending_text
from partners.profile_writer import plain

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "profile.md").read_text()
SECTIONS = {
    "The partner": ("", Partner),
    "`[[agreement]]`": ("agreement.", Agreement),
    "`[envelope]`": ("envelope.", EnvelopeSettings),
    "`[envelope.separators]`": ("envelope.separators.", Separators),
    "`[acknowledgment]`": ("acknowledgment.", AcknowledgmentPolicy),
    "`[delivery]`": ("delivery.", Delivery),
    "`[test_delivery]`": ("test_delivery.", Delivery),
    "`[mail]`": ("mail.", MailSettings),
    "`[security]`": ("security.", Security),
    "`[calendar]`": ("calendar.", Calendar),
    "`[[expected]]`": ("expected.", Expected),
    "`[retention]`": ("retention.", Kept),
    "`[storage]`": ("storage.", Storage),
}


def rows():
    """Key → type and default, as the page's tables tell them."""
    found = {}
    for part in re.split(r"^##+ ", PAGE, flags=re.MULTILINE)[1:]:
        title = part.split("\n", 1)[0].split(":", 1)[0]
        if title in SECTIONS:
            for key, kind, default in re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| ", part, re.MULTILINE):
                found[SECTIONS[title][0] + key] = (kind, default)
    return found


ROWS = rows()


def default_of(key):
    kind = dict(SECTIONS.values())[key[: key.rfind(".") + 1]]
    name = key.rpartition(".")[2]
    value = getattr(kind(), name) if kind not in (Partner, Agreement, Expected) else defaults(kind)[name]
    return line_ending_text(value) if name == "line_ending" else value


def test_the_page_tells_of_exactly_the_keys_that_are_read():
    assert set(ROWS) == set(all_keys())


WORDS = [key for key in all_keys() if key not in {"name", "key", "mail.body"} and isinstance(ROWS[key][1], str)]


@pytest.mark.parametrize("key", [key for key in WORDS if re.fullmatch(r"`[^`]*`", ROWS[key][1])])
def test_a_default_in_code_letters_is_the_default_in_the_code(key):
    said = ROWS[key][1].strip("`")
    if key in {"status", "delivery.target", "test_delivery.target"}:  # made by the reader, not by the value
        assert said in {"draft", "inbox/<partner key>", "inbox/<partner key>/test"}
        return
    value = plain(default_of(key))
    assert said == {True: "true", False: "false"}.get(value, value)


@pytest.mark.parametrize("key", all_keys())
def test_every_word_that_is_allowed_is_told(key):
    default = defaults(dict(SECTIONS.values())[key[: key.rfind(".") + 1]]).get(key.rpartition(".")[2])
    words = {each.value for each in type(default)} if isinstance(default, Enum) else set()
    words |= {"agreement.direction": {"in", "out"}, "envelope.separators.line_ending": set(LINE_ENDINGS)}.get(
        key, set()
    )
    assert words <= set(re.findall(r"`([^`]+)`", ROWS[key][0]))


EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_is_a_profile(text):
    assert read_profile(text).agreements


def test_the_error_on_the_page_is_what_is_said():
    wrong = EXAMPLES[0].replace('"in"', '"inn"')
    with pytest.raises(Exception, match="is not allowed here") as caught:
        read_profile(wrong, "acme.toml")
    assert str(caught.value).replace("line 6", "line 14") in PAGE
