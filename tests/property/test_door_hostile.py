"""Whatever somebody sends: nobody is led elsewhere, no foreign name is answered, and nothing fails unforeseen."""

from __future__ import annotations

import string
from types import SimpleNamespace
from urllib.parse import urljoin, urlsplit

from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from gateway.console.api import OPERATIONS
from gateway.console.api.declared import BYTES
from gateway.console.api.serving import _checked
from gateway.console.door import Door, Entrance
from gateway.console.places import local, sign_in_to
from gateway.errors import RequestInvalid
from gateway.ledger.sign_in_pauses import ADDRESS, NAME, network
from gateway.settings import ConsoleSettings

PIECES = st.lists(
    st.sampled_from(
        ["/", "\\", "//", "evil.example", ":", "http", "https:", "@", "?", "#", "%2f", "%5c", "\t", "\n", "."]
    )
    | st.text(max_size=5),
    max_size=8,
).map("".join)
BEHIND = ConsoleSettings(public_url="https://edi.example.com", trusted_proxies=("10.0.0.0/8",))
DOOR = Door(SimpleNamespace(), Entrance.of(BEHIND, 1_000))


@given(PIECES)
@example("/\t/evil.example")
@example("/%5cevil.example")
@example("/..//evil.example")
def test_nobody_is_led_elsewhere_after_the_door(wanted):
    """As browsers resolve addresses: backslashes are slashes, control characters are nothing."""
    found = local(wanted)
    as_browsers = "".join(each for each in found if each not in "\t\r\n").replace("\\", "/")
    for there in (as_browsers, sign_in_to(wanted)):
        assert urlsplit(urljoin("https://edi.example.com/sign-in", there)).netloc == "edi.example.com"
    assert local(found) == found


@given(st.text(string.printable, max_size=40) | st.sampled_from(["edi.example.com.evil", "evil@edi.example.com"]))
def test_a_name_is_answered_only_where_it_is_ours_or_an_address(host):
    """A dot, a port or a user before it make no name ours."""
    if DOOR._is_ours(host):
        name = host.strip().lower()
        bare = name[1:].partition("]")[0] if name.startswith("[") else name.rpartition(":")[0] or name
        ours = {"edi.example.com", "127.0.0.1", "localhost"}
        assert bare in ours or name in ours or all(each in "0123456789abcdef.:%" for each in bare)


@given(
    st.lists(st.sampled_from(["10.0.0.9", "203.0.113.5", "rubbish", "", "::1", "10.1.1.1:80"]), max_size=6),
    st.sampled_from(["10.0.0.1", "198.51.100.7"]),
)
def test_who_asks_is_never_what_a_stranger_wrote(forwarded, peer):
    """Of an untrusted peer nothing is believed; of a trusted one only an address, the nearest that is no proxy's."""
    headers = Headers({"x-forwarded-for": ", ".join(forwarded)})
    scope = {"client": (peer, 1), "scheme": "http", "state": {}}
    DOOR._who(scope, headers)
    address = scope["client"][0]
    if peer == "198.51.100.7":
        assert address == peer
    else:
        assert address == peer or address in forwarded
        assert network(address)
    assert scope["state"]["is_local"] is False


@given(st.integers(0, 10_000))
def test_a_pause_never_ends_before_the_one_of_fewer_failures(failures):
    """They grow and have a longest."""
    for patience in (NAME, ADDRESS):
        assert 0 <= patience.pause(failures) <= patience.pause(failures + 1) <= patience.longest


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
WRITTEN = st.text(max_size=30) | st.sampled_from(["1", "-1", "true", "1e9", "١", "٣", "0x1", " 1", "9" * 25, "m5"])


@settings(max_examples=300)
@given(st.sampled_from([(each, one) for each in OPERATIONS for one in each.parameters]), WRITTEN)
def test_a_parameter_is_read_or_refused_with_its_name(which, written):
    _, parameter = which
    try:
        found = parameter.read(written)
    except RequestInvalid as fault:
        refused = fault.details["where"]
    else:
        refused = parameter.name
        kind = {"integer": int, "boolean": bool, "string": str}[parameter.schema["type"]]
        assert type(found) is kind
        if kind is int:
            assert parameter.schema["minimum"] <= found <= parameter.schema["maximum"]
    assert refused == parameter.name


@given(
    st.sampled_from(
        [schema for each in OPERATIONS if each.body for kind, schema in each.body.content.items() if schema]
    ),
    JSON_VALUES | st.fixed_dictionaries({"why": JSON_VALUES}, optional={"dry_run": JSON_VALUES, "sent": JSON_VALUES}),
)
def test_a_document_is_what_its_schema_says_or_refused(schema, found):
    """Nothing else gets as far as an act."""
    if "properties" not in schema:
        return
    try:
        checked = _checked(found, schema)
    except RequestInvalid:
        return
    assert set(checked) <= set(schema["properties"])
    assert isinstance(checked["why"], str)
    assert checked["why"].strip()
    assert all(isinstance(checked.get(name, False), bool) for name in ("dry_run", "sent", "new_number"))


def test_only_documents_and_profiles_are_taken_as_bytes():
    """What is JSON is checked; there are no other ways in."""
    raw = {each.name for each in OPERATIONS if each.body and BYTES in each.body.content}
    assert raw == {"submitDocument"}
