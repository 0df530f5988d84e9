"""Values as plain data."""

from typing import NamedTuple

from msgspec import Struct, field

from gateway.values import asdict, defaults


class Pair(NamedTuple):
    left: int
    right: object


class Inner(Struct, frozen=True):
    name: str


class Outer(Struct):
    number: int
    inner: Inner = Inner("x")
    some: list[Inner] = field(default_factory=list)
    more: tuple[object, ...] = ()
    named: dict[str, object] = {}


def test_a_value_is_plain_all_the_way_down():
    outer = Outer(1, Inner("a"), [Inner("b")], (Inner("c"), Pair(2, Inner("d"))), {"k": [Inner("e")]})
    plain = asdict(outer)
    assert plain == {
        "number": 1,
        "inner": {"name": "a"},
        "some": [{"name": "b"}],
        "more": ({"name": "c"}, Pair(2, {"name": "d"})),
        "named": {"k": [{"name": "e"}]},
    }
    assert plain["some"] is not outer.some
    assert isinstance(plain["more"][1], Pair)


def test_defaults_are_those_of_the_fields_that_have_one():
    assert defaults(Outer) == {"inner": Inner("x"), "some": [], "more": (), "named": {}}
    assert defaults(Inner) == {}
    assert defaults(Outer)["some"] is not defaults(Outer)["some"]
