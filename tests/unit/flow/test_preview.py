"""A mail as a person may look at it."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from builders.stage import Stage, orders

from gateway.errors import NotFound
from gateway.flow import preview as previews
from gateway.flow.preview import preview
from gateway.settings.model import Limits

SECRET = orders(1).replace(b"*00*          *00*          *", b"*03*CANARY1977*01*SESAME    *", 1)


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def _letter(**parts):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "edi@acme.example", "edi@us.example", parts.get("subject", "Hello")
    mail["X-Note"] = "a\tb"
    if "plain" in parts:
        mail.set_content(parts["plain"])
    if "html" in parts:
        mail.add_alternative(parts["html"], subtype="html") if "plain" in parts else mail.set_content(
            parts["html"], subtype="html"
        )
    for name, data in parts.get("files", ()):
        mail.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes()


def _looked(stage, raw, limits=Limits()):  # noqa: B008 - a frozen value
    stage.mailbox.deliver(raw)
    stage.run()
    newest = max(int(row["id"]) for row in stage.rows("message") if row["direction"] == "in")
    return preview(stage.ledger, newest, limits)


def test_headers_words_and_parts_are_told(stage):
    """Those that everybody looks for come first; a file that is no text is named only."""
    seen = _looked(stage, _letter(plain="Dear all,\nsee below.\n", files=[("a.bin", b"\0\1\2"), ("b.edi", orders(1))]))
    assert [name for name, _ in seen.headers[:3]] == ["from", "to", "subject"]
    assert [(each.file_name, each.size) for each in seen.parts][1] == ("a.bin", 3)
    text, binary, edi = seen.parts
    assert text.text == "Dear all,\nsee below."
    assert binary.text == ""
    assert edi.text.startswith("ISA*00*")


def test_markup_is_told_as_its_words(stage):
    """Scripts and styles are left out, blocks are lines, and broken markup harms nobody."""
    html = "<html><style>p{}</style><p>One &amp; <b>two</b></p><script>alert(1)</script><div>three<p>four</html><"
    (part,) = _looked(stage, _letter(html=html)).parts
    assert part.text.split("\n")[:3] == ["One & two", "three", "four<"]
    assert "alert" not in part.text


def test_markup_beside_plain_words_is_not_told_twice(stage):
    """Who wrote both means the same."""
    plain, html = _looked(stage, _letter(plain="hello", html="<p>hello</p>")).parts
    assert (plain.text, html.text) == ("hello", "")


@pytest.mark.parametrize("place", range(0, 120, 7))
def test_no_password_is_shown_wherever_the_text_is_cut(stage, monkeypatch, place):
    """However the bound falls into an ISA, what is secret in it stays masked."""
    monkeypatch.setattr(previews, "SHOWN", 30)
    filler = b"X" * 3 + b"\n" * place
    seen = _looked(stage, _letter(plain="see file", files=[("orders.edi", b"ST" + filler + SECRET)]))
    told = " ".join(each.text for each in seen.parts)
    assert "CANARY" not in told
    assert "SESAME" not in told


def test_passwords_in_words_and_headers_are_masked_too(stage):
    """A partner who pastes an interchange into the letter, or its first line into the subject."""
    line = SECRET[:106].decode()
    seen = _looked(stage, _letter(plain=SECRET.decode(), subject=line))
    told = " ".join([*(each.text for each in seen.parts), *(value for _, value in seen.headers)])
    assert "CANARY1977" not in told
    assert "XXXXXXXXXX" in told


def test_control_characters_are_dots(stage):
    """A screen obeys nothing that a mail says."""
    raw = _letter(plain="x").replace(b"\n\nx", b"\n\nred \x1b[31m\x07 \xe2\x80\xaeabc")
    seen = _looked(stage, raw)
    assert seen.parts[0].text.startswith("red ·[31m·")
    assert "\u202e" not in seen.parts[0].text


def test_much_is_cut_and_said_to_be(stage, monkeypatch):
    """The rest is in the raw mail."""
    monkeypatch.setattr(previews, "SHOWN", 100)
    (part,) = _looked(stage, _letter(plain="word " * 100)).parts
    assert part.more
    assert len(part.text) <= 100


def test_a_mail_that_cannot_be_opened_shows_its_headers_and_why(stage):
    """As far as it can be read, and no further."""
    raw = _letter(plain="x", files=[("a.bin", b"1")] * 3)
    seen = _looked(stage, raw, Limits(parts=1))
    assert seen.parts == ()
    assert "more than 1 parts" in seen.fault
    assert ("subject", "Hello") in seen.headers


def test_a_very_big_mail_is_not_opened_for_a_look(stage, monkeypatch):
    """Its headers are enough to know it by."""
    monkeypatch.setattr(previews, "OPENED", 300)
    seen = _looked(stage, _letter(plain="x" * 1_000))
    assert "too many to look into here" in seen.fault
    assert ("subject", "Hello") in seen.headers


def test_a_mail_that_is_not_there_is_said_so(stage):
    """No number, no mail."""
    with pytest.raises(NotFound):
        preview(stage.ledger, 99, Limits())
