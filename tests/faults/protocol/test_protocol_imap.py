"""IMAP hosts that number anew, let others in, and break off in the middle: nothing is lost, nothing comes twice."""

from __future__ import annotations

import pytest
from servers.imap import USUAL, ImapServer

from faults.protocol.choice import some
from faults.protocol.home import SHORT, Home, mailbox, smtp
from faults.protocol.hosts import SmtpHost
from faults.protocol.mails import order_mail
from faults.protocol.truth import violations

WITHOUT_MOVE = tuple(each for each in USUAL if each != "MOVE")
BARE = tuple(each for each in USUAL if each not in {"MOVE", "UIDPLUS"})
WAYS = {
    "move": ({"done_folder": "Done"}, USUAL),
    "copy": ({"done_folder": "Done"}, WITHOUT_MOVE),
    "expunge": ({}, USUAL),
    "expunge all": ({}, BARE),
    "left": ({"keep_on_server": True}, USUAL),
}


class BookedImap(ImapServer):
    """An IMAP host that keeps books: what is in the folder, and what we had taken out of it for good."""

    def __init__(self, **options):
        self.gone: list[bytes] = []
        super().__init__(**options)

    @property
    def box(self):
        return {str(uid): raw for uid, raw in self.messages.items()}

    def _remove(self, talk, uids):
        self.gone += [self.messages[uid] for uid in uids]
        super()._remove(talk, uids)

    def taken_by_another(self, talk, uid):
        """Another client takes a message away: everybody is told, and it is no business of ours."""
        talk.say(f"* {1 + sorted(self.messages).index(uid)} EXPUNGE")
        del self.messages[uid]


class Stand:
    """A home between an IMAP and an SMTP host."""

    def __init__(self, directory, way, count=3):
        settings, capabilities = WAYS[way]
        self.way = way
        self.box, self.post = BookedImap(capabilities=capabilities), SmtpHost()
        text = mailbox(self.box.port, "imap", **settings) + smtp(self.post.port)
        self.home = Home(directory, text, password="s3cret")
        self.expected = [f"PO-{number}" for number in range(1, count + 1)]
        for number in range(1, count + 1):
            self.box.deliver(order_mail(number))

    def nights(self, count=1):
        """Undisturbed ones."""
        self.box.hook = lambda *_: False
        self.home.patience = dict.fromkeys(self.home.patience, 10.0)
        return [self.home.night() for _ in range(count)][-1]

    def violations(self, stays=None):
        stays = 3 * (self.way == "left") if stays is None else stays
        return violations(self.home, self.box, self.post.taken, self.expected, stays=stays)


@pytest.fixture
def stand(tmp_path):
    made = []

    def make(way, **more):
        made.append(Stand(tmp_path, way, **more))
        return made[-1]

    yield make
    for each in made:
        each.box.close()
        each.post.go_away()
        each.home.close()


@pytest.mark.parametrize("way", WAYS)
def test_uidvalidity_changes(stand, way):
    """All UIDs mean something else from now on (RFC 3501 section 2.3.1.1): bytes are known, nothing comes twice."""
    stand = stand(way)
    if way != "left":
        stand.box.hook = lambda talk, _tag, command: ("STORE" in command or "MOVE" in command) and not talk.drop()
    stand.home.night()
    stand.box.uidvalidity = 8
    stand.box.messages = {uid + 40: raw for uid, raw in stand.box.messages.items()}
    stand.box._next += 40
    assert stand.nights(3).troubles == ()
    assert stand.violations() == []
    assert stand.home.count("resighted") == 3


@pytest.mark.parametrize("way", ["move", "copy", "expunge"])
def test_another_client_takes_a_mail_between_fetch_and_the_taking_away(stand, way):
    """It was ours already: it is delivered, and its going is no fault."""
    stand = stand(way)
    verb = {"move": "UID MOVE", "copy": "UID COPY", "expunge": "UID STORE"}[way]

    def take(talk, _tag, command):
        if command.startswith(verb) and 2 in stand.box.messages:
            stand.box.taken_by_another(talk, 2)
        return False

    stand.box.hook = take
    assert stand.home.night().troubles == ()
    assert stand.nights(2).troubles == ()
    assert stand.violations() == []


def test_another_client_takes_a_mail_before_it_is_fetched(stand):
    """Announced: that one is theirs, and never ours; the others come, and nobody is called again and again."""
    stand = stand("move")

    def take(talk, _tag, command):
        if "BODY.PEEK[]" in command and 2 in stand.box.messages:
            stand.box.taken_by_another(talk, 2)
        return False

    stand.box.hook = take
    stand.home.night()
    summary = stand.nights(2)
    assert (summary.troubles, summary.attention) == ((), ())
    stand.expected.remove("PO-2")
    assert stand.violations() == []


@pytest.mark.parametrize("way", ["move", "copy", "expunge", "expunge all"])
def test_the_connection_is_lost_after_the_taking_away_and_before_its_reply(stand, way):
    """The mails are gone and nobody said so: they were safe before."""
    stand = stand(way)
    verb = "UID MOVE" if way == "move" else "EXPUNGE" if way == "expunge all" else "UID EXPUNGE"

    def lose(talk, _tag, command):
        if not command.startswith(verb):
            return False
        uids = set(stand.box.messages)
        if way == "move":
            stand.box.folders["Done"] = list(stand.box.messages.values())
        stand.box._remove(Silent(), uids)
        talk.drop()
        return True

    stand.box.hook = lose
    summary = stand.home.night()
    assert [fault.code for _, fault in summary.troubles] == ["mailbox.unavailable"]
    assert stand.box.messages == {}
    assert stand.nights(2).troubles == ()
    assert stand.violations() == []


class Silent:
    """Nobody hears what is said."""

    def say(self, *_):
        """Nothing."""


@pytest.mark.parametrize("how", some(["bye"], ["drop", "hang"]))
@pytest.mark.parametrize(
    "verb", some(["UID FETCH 1:* ", "BODY.PEEK", "UID MOVE"], ["CAPABILITY", "AUTHENTICATE", "SELECT"])
)
def test_the_host_ends_in_the_middle(stand, verb, how):
    """BYE (RFC 3501 section 7.1.5), a broken line, or silence, at any command: one trouble, and all comes later."""
    stand = stand("move")

    def end(talk, _tag, command):
        if verb not in command:
            return False
        if how == "bye":
            talk.say("* BYE maintenance")
        if how != "hang":
            talk.drop()
        return True

    stand.box.hook = end
    stand.home.patience["mailbox"] = SHORT if how == "hang" else 10.0
    summary = stand.home.night()
    assert [fault.code for _, fault in summary.troubles] == ["mailbox.unavailable"]
    assert len(stand.box.messages) == 3
    assert stand.nights(2).troubles == ()
    assert stand.violations() == []


@pytest.mark.parametrize("tenth", some([3, 8], [0, 1, 2, 4, 5, 6, 7, 9]))
def test_cut_inside_a_literal(stand, tenth):
    """A mail that was cut is never half read."""
    stand = stand("move")

    def cut(talk, _tag, command):
        if "BODY.PEEK[]" not in command:
            return False
        raw = stand.box.messages[1]
        answer = f"* 1 FETCH (UID 1 BODY[] {{{len(raw)}}}\r\n".encode() + raw + b")\r\n"
        talk.say(answer[: len(answer) * tenth // 10])
        talk.drop()
        return True

    stand.box.hook = cut
    stand.home.night()
    assert stand.home.delivered == []
    assert stand.nights(2).troubles == ()
    assert stand.violations() == []


def test_half_of_the_mails_moved_and_then_no(stand):
    """A host that moves some and refuses the rest has said no: what is left comes again and is known."""
    stand = stand("move")

    def half(talk, tag, command):
        if not command.startswith("UID MOVE"):
            return False
        stand.box.folders["Done"] = [stand.box.messages[1]]
        stand.box._remove(talk, {1})
        talk.say(f"{tag} NO [OVERQUOTA] full")
        return True

    stand.box.hook = half
    summary = stand.home.night()
    assert [fault.code for _, fault in summary.troubles] == ["mailbox.unavailable"]
    assert stand.nights(2).troubles == ()
    assert stand.violations() == []
