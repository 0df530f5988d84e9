"""What an IMAP server says, damaged at random: a fault or a result, never anything else, and always an end."""

from __future__ import annotations

import random

import pytest

from gateway.errors import GatewayError
from gateway.mail import imap_connection
from gateway.mail.imap import ImapMailbox
from gateway.mail.model import Credentials
from gateway.mail.wire import Wire

RAWS = [
    b"Subject: one\r\n\r\nISA*00~\r\n",
    b"Subject: two\r\n\r\n(\\{3}\r\n",
    b"Subject: three\r\n\r\n* 1 FETCH (UID 9)\r\n",
]
SAID = (
    b"* OK [CAPABILITY IMAP4rev1] ready\r\n"
    b"G1 OK [CAPABILITY IMAP4rev1 UIDPLUS MOVE] in\r\n"
    b"* CAPABILITY IMAP4rev1 UIDPLUS MOVE\r\nG2 OK done\r\n"
    b"* FLAGS (\\Seen)\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 4] x\r\nG3 OK [READ-WRITE] open\r\n"
    b"* 1 FETCH (UID 1 RFC822.SIZE 25 FLAGS (\\Seen))\r\n"
    b"* 2 FETCH (FLAGS () UID 2 RFC822.SIZE 24)\r\n"
    b"* 3 FETCH (UID 3 RFC822.SIZE 37 FLAGS ())\r\nG4 OK done\r\n"
    + b"".join(b"* %d FETCH (UID %d BODY[] {%d}\r\n%b)\r\n" % (n, n, len(raw), raw) for n, raw in enumerate(RAWS, 1))
    + b"G5 OK fetched\r\n* OK [COPYUID 8 1:3 4:6] moved\r\n* 1 EXPUNGE\r\nG6 OK moved\r\n* BYE\r\nG7 OK out\r\n"
)  # fmt: skip
NOISE = [b"\r\n", b"*", b"(", b")", b'"', b"{7}\r\n", b"{99999999999}\r\n", b"+ ", b"NIL", b"\x00", b"\xff", b"* BYE\r\n", b"G5 OK\r\n"]  # fmt: skip # noqa: E501


class Played(Wire):
    """A wire whose other side is a text."""

    text = b""

    def __init__(self, endpoint):
        self._endpoint = endpoint
        self._buffer = bytearray()
        self._start = 0
        self._rest = self.text
        self._socket = self
        self.encrypted = False

    def gettimeout(self):
        return 1.0

    def settimeout(self, seconds):
        pass

    def sendall(self, data):
        pass

    def close(self):
        pass

    def recv(self, _count):
        piece, self._rest = self._rest[:50], self._rest[50:]
        return piece


@pytest.fixture
def play(monkeypatch, tmp_path):
    """Collects from a server that says a text; returns the raw messages."""
    monkeypatch.setattr(imap_connection, "Wire", Played)

    def run(text):
        monkeypatch.setattr(Played, "text", text)
        box = ImapMailbox(
            name="box", host="h", port=1, security="none", plaintext_password=True, max_size=10_000, spool=tmp_path,
            credentials=Credentials("edi", lambda: "s3cret"), done_folder="Done",
        )  # fmt: skip
        with box.session() as session:
            fetched = list(session.fetch(session.listing()))
            session.delete(each.listed for each in fetched)
            session.commit()
        return [each.raw for each in fetched]

    return run


def damaged(chance):
    text = bytearray(SAID)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        place = chance.randrange(len(text))
        kind = chance.randrange(4)
        if kind == 0:
            del text[place : place + chance.choice([1, 2, 10, 100])]
        elif kind == 1:
            text[place : place + 1] = bytes([chance.randrange(256)])
        elif kind == 2:
            text[place:place] = chance.choice(NOISE)
        else:
            other = chance.randrange(len(text))
            text[place:place] = text[other : other + chance.choice([5, 50, 200])]
    return bytes(text)


def test_the_undamaged_text_gives_the_messages(play):
    assert play(SAID) == RAWS


def test_damage_gives_a_fault_or_a_result(play):
    chance = random.Random(20261122)
    faults, results = [], 0
    for _ in range(1_500):
        text = damaged(chance)
        try:
            play(text)
            results += 1
        except GatewayError as fault:
            faults.append(str(fault))
    assert len(faults) > 300
    assert not any("s3cret" in each for each in faults)
    assert results > 100


def test_every_cut_is_a_fault(play):
    for end in range(0, SAID.index(b"G6 OK moved\r\n"), 3):
        with pytest.raises(GatewayError):
            play(SAID[:end])
