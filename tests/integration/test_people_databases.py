"""Users, sessions, pauses and tokens say the same on both databases, many asking at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.errors import ApiTokenTaken, UserTaken
from gateway.ledger import api_tokens, sessions, sign_in_pauses, users
from gateway.ledger.database import reading, writing
from gateway.ledger.recording import Ledger
from gateway.ledger.sessions import Limits
from gateway.ledger.sign_in_pauses import ADDRESS, NAME, network, subjects_of

pytestmark = pytest.mark.integration

LIMITS = Limits(idle=1_000, longest=10_000)


class Clock:
    now = 1_800_000_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(ledger_engine, clock):
    return Ledger(ledger_engine, clock, "root")


def test_a_user_and_their_sessions_come_and_go(ledger, clock):
    ledger.write(lambda recorder: users.add(recorder, "olga", "viewer", password="hash"))
    with pytest.raises(UserTaken):
        ledger.write(lambda recorder: users.add(recorder, "olga", "viewer"))
    numbers = [ledger.write(lambda r: sessions.begin(r.connection, "olga", r.now, agent="x" * 900)) for _ in range(3)]
    with reading(ledger.engine) as connection:
        found = sessions.find(connection, numbers[0], clock.now, LIMITS)
        assert (found.user, found.role, len(found.agent)) == ("olga", "viewer", 200)
        assert sessions.find(connection, "another", clock.now, LIMITS) is None
        assert sessions.find(connection, numbers[0], clock.now + 1_000, LIMITS) is None
    with writing(ledger.engine) as connection:
        sessions.touch(connection, found.id, clock.now + 900)
    with reading(ledger.engine) as connection:
        assert sessions.find(connection, numbers[0], clock.now + 1_500, LIMITS) is not None
        assert sessions.find(connection, numbers[0], clock.now + 10_000, Limits(10**9, 10_000)) is None
        assert len(sessions.of_user(connection, "olga", clock.now + 950, LIMITS)) == 3
    assert ledger.write(lambda r: sessions.end_all(r.connection, "olga", but=found.id)) == 2
    ledger.write(lambda recorder: users.remove(recorder, "olga"))
    with reading(ledger.engine) as connection:
        assert users.every(connection) == []
        assert sessions.find(connection, numbers[0], clock.now, LIMITS) is None


def test_two_whom_one_provider_knows_under_one_number_cannot_be(ledger):
    ledger.write(lambda r: users.add(r, "olga", "viewer", issuer="https://id.example", subject="1"))
    ledger.write(lambda r: users.add(r, "vera", "viewer", issuer="https://id.example", subject="2"))
    ledger.write(lambda r: users.add(r, "anna", "viewer", password="hash"))
    ledger.write(lambda r: users.add(r, "ada", "viewer", password="hash"))
    with pytest.raises(Exception, match=r"(?i)unique"):
        ledger.write(lambda r: users.add(r, "eve", "viewer", issuer="https://id.example", subject="1"))
    with reading(ledger.engine) as connection:
        assert users.find_vouched(connection, "https://id.example", "2").name == "vera"
        assert users.find_vouched(connection, "https://other.example", "2") is None


def test_pauses_double_up_to_their_longest_and_are_forgotten(ledger, clock):
    """Of a name: five at once, then 2, 4, 8 … seconds, never more than five minutes."""
    subjects = {"name:x": NAME}

    def attempt():
        return ledger.write(lambda r: sign_in_pauses.count(r.connection, subjects, clock.now))

    assert [attempt() for _ in range(6)] == [0] * 5 + [2_000]
    waits = []
    for _ in range(12):
        clock.now += attempt()
        assert attempt() == 0
        waits.append(attempt())
    assert waits == [4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, *[300_000] * 5]
    clock.now -= 50_000_000  # somebody set the clock back: nobody waits longer for that
    assert attempt() == 300_000
    clock.now += 50_000_000 + 12 * 3_600_000 + 1
    assert [attempt() for _ in range(6)] == [0] * 5 + [2_000]


def test_many_at_the_same_moment_gain_nothing(ledger, clock):
    """An attempt is counted before its password is looked at."""
    subjects = subjects_of("olga", "203.0.113.5")
    with ThreadPoolExecutor(8) as pool:
        waits = list(
            pool.map(
                lambda _: ledger.write(lambda r: sign_in_pauses.count(r.connection, subjects, clock.now)), range(40)
            )
        )
    assert waits.count(0) == 5


def test_what_was_right_is_forgiven(ledger, clock):
    """The name begins anew; of the address only this attempt does not count."""
    subjects = {"name:x": NAME, "address:203.0.113.5": ADDRESS}

    def attempt(which=subjects):
        return ledger.write(lambda r: sign_in_pauses.count(r.connection, which, clock.now))

    for _ in range(20):
        attempt({"address:203.0.113.5": ADDRESS})
        clock.now += 3_600_000 // 16
    clock.now += 3_600_000
    assert attempt() == 0
    ledger.write(lambda r: sign_in_pauses.forgive(r.connection, subjects))
    assert attempt({"name:x": NAME}) == 0
    assert attempt({"address:203.0.113.5": ADDRESS}) == 0, "the pause that this attempt began is gone too"
    assert attempt({"address:203.0.113.5": ADDRESS}) == 64_000, "but those before are not"


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_an_address_is_counted_as_far_as_one_customer_has_it(address, counted):
    assert network(address) == counted


def test_a_token_is_found_by_what_it_is_and_ends(ledger, clock):
    token = ledger.write(lambda r: api_tokens.add(r, "erp", ["submit", "search"], lasts=5_000))
    with pytest.raises(ApiTokenTaken):
        ledger.write(lambda r: api_tokens.add(r, "erp", ["search"]))
    with reading(ledger.engine) as connection:
        found = api_tokens.find(connection, token)
        assert found.scopes == ("search", "submit")
        assert found.trouble(clock.now) == ""
        assert "expired" in found.trouble(clock.now + 5_000)
        assert api_tokens.find(connection, token.swapcase()) is None
    with writing(ledger.engine) as connection:
        api_tokens.touch(connection, found.id, clock.now + 1)
    assert ledger.write(lambda r: api_tokens.revoke(r, "erp", "lost"))
    assert not ledger.write(lambda r: api_tokens.revoke(r, "erp"))
    with reading(ledger.engine) as connection:
        found = api_tokens.find(connection, token)
        assert ("revoked" in found.trouble(clock.now), found.used_at) == (True, clock.now + 1)
