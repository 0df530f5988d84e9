"""Mails that clients mangle and that attackers make, each with what must become of it.

``MAILS`` maps a name to ``Mail``: its bytes, the fault code ("" where it is taken), how many payloads, words that its
repairs must tell, and of what in it nothing can be made beside good interchanges. All are from ACME; ``from_stranger`` makes them somebody else's.
"""

# ruff: noqa: E501 - a mail a line reads better as a table

from __future__ import annotations

import base64
import binascii
import gzip
import io
import re
import struct
import textwrap
import zipfile
import zlib
from dataclasses import dataclass

from builders.stage import orders

EDI = orders(1)
ONE = EDI.replace(b"\r\n", b"")  # the same in one line
OTHER = orders(2).replace(b"\r\n", b"")
SENDER = b"From: edi@acme.example\r\n"
HEAD = SENDER + b"To: edi@us.example\r\nSubject: orders\r\nMessage-ID: <h1@acme.example>\r\n"
FOOTER = b"\r\n-- \r\nThis mail is confidential. If you are not MISA or ISA*, delete it.\r\n"


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail and its fate. ``repairs`` are words that must be told; ``kind`` is what it is.

    ``held`` has words of each sentence by which a piece of it goes to quarantine while the rest is taken.
    """

    raw: bytes
    code: str = ""
    payloads: int = 1
    repairs: tuple[str, ...] = ()
    kind: str = "letter"
    held: tuple[str, ...] = ()


def plain(data: bytes, *headers: bytes) -> bytes:
    """A mail whose body is the data."""
    return HEAD + b"".join(each + b"\r\n" for each in headers) + b"\r\n" + data


def part(data: bytes, *headers: bytes) -> bytes:
    """A part of a multipart."""
    return b"".join(each + b"\r\n" for each in headers) + b"\r\n" + data


def mixed(*parts: bytes, kind: bytes = b"mixed", boundary: bytes = b"=_b", headers: bytes = b"") -> bytes:
    """A mail of several parts."""
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary, each) for each in parts)
    return (
        HEAD
        + headers
        + b'Content-Type: multipart/%s; boundary="%s"\r\n\r\n' % (kind, boundary)
        + body
        + b"--%s--\r\n" % boundary
    )


def file(data: bytes, name: bytes = b"orders.edi", kind: bytes = b"application/octet-stream") -> bytes:
    """An attachment in base64."""
    return part(
        base64.encodebytes(data).replace(b"\n", b"\r\n"),
        b"Content-Type: " + kind,
        b"Content-Transfer-Encoding: base64",
        b'Content-Disposition: attachment; filename="%s"' % name,
    )


def wrapped(data: bytes, width: int, end: bytes = b"\r\n") -> bytes:
    """Cut at a width."""
    return end.join(data[at : at + width] for at in range(0, len(data), width))


def encoded(data: bytes, width: int = 76) -> bytes:
    """Base64 in lines."""
    return wrapped(base64.b64encode(data), width)


def uuencoded(data: bytes) -> bytes:
    """A file as uuencode writes it into a text."""
    lines = [binascii.b2a_uu(data[at : at + 45], backtick=True).rstrip(b"\n") for at in range(0, len(data), 45)]
    return b"\r\n".join((b"begin 644 orders.edi", *lines, b"`", b"end", b""))


def quoted(data: bytes) -> bytes:
    """Quoted-printable with a soft break every 60 characters, and stars escaped."""
    return b"=\r\n".join(data[at : at + 60].replace(b"*", b"=2A") for at in range(0, len(data), 60))


def flowed(data: bytes, width: int = 66, *, delsp: bool = False) -> bytes:
    """As a client with format=flowed sends it (RFC 3676): broken after blanks, or anywhere with a blank put in."""
    lines = []
    while len(data) > width:
        at = width if delsp else data.rfind(b" ", 0, width) + 1
        at = at or data.find(b" ") + 1 or len(data)
        lines.append(data[:at] + (b" " if delsp else b""))
        data = data[at:]
    return b"\r\n".join(b" " + each if each.startswith((b" ", b">", b"From ")) else each for each in [*lines, data])


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def locked(data: bytes) -> bytes:
    """A zip that says it is encrypted."""
    raw = bytearray(zipped(("a.edi", data), method=zipfile.ZIP_STORED))
    raw[6] |= 1
    raw[raw.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(raw)


def attribute(level: int, number: int, value: bytes, *, lie: int = 0, checksum: int = 0) -> bytes:
    """One attribute of a TNEF stream."""
    total = (sum(value) + checksum) & 0xFFFF
    return struct.pack("<BII", level, number, len(value) + lie) + value + struct.pack("<H", total)


def prop(number: int, kind: int, value: bytes) -> bytes:
    """One variable MAPI property."""
    return struct.pack("<HHII", kind, number, 1, len(value)) + value + b"\0" * (-len(value) % 4)


def countless() -> bytes:
    """A TNEF stream with a property of ten thousand values of no size, ten thousand times: years of counting."""
    properties = struct.pack("<I", 9_999) + struct.pack("<HHI", 0x1001, 1, 9_999) * 9_999
    return b"\x78\x9f\x3e\x22\x01\x00" + attribute(1, 0x00069003, properties)


def winmail(*files: tuple[str, bytes], lie: int = 0, checksum: int = 0, body: bytes = b"") -> bytes:
    """A TNEF stream with attachments."""
    raw = b"\x78\x9f\x3e\x22\x01\x00" + attribute(1, 0x00089006, struct.pack("<I", 0x10000))
    if body:
        raw += attribute(1, 0x0002800C, body + b"\0")
    for name, data in files:
        named = struct.pack("<HH16sII", 0x1E, 0x8001, b"g" * 16, 0, 5) + struct.pack("<II", 1, 2) + b"x\0\0\0"
        properties = struct.pack("<I", 3) + prop(0x3707, 0x1F, (name + "\0").encode("utf-16-le")) + named
        properties += struct.pack("<HHI", 3, 0x0E21, 7)
        raw += attribute(2, 0x00069002, b"\0" * 14) + attribute(2, 0x00018010, b"SHORT~1.EDI\0")
        raw += attribute(2, 0x0006800F, data, lie=lie, checksum=checksum) + attribute(2, 0x00069005, properties)
    return raw


def many_gzips(count: int) -> bytes:
    """As many gzip members in a row."""
    return gzip.compress(b"") * count


def bomb(size: int) -> bytes:
    """A gzip of so many zeros after an ISA."""
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    return engine.compress(EDI + b"0" * size) + engine.flush()


def nested(depth: int) -> bytes:
    """multipart in multipart in …"""
    raw = HEAD
    for level in range(depth):
        raw += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
    return raw + b"\r\n" + EDI


def from_stranger(raw: bytes) -> bytes:
    """The same mail by somebody whom nobody knows."""
    return re.sub(rb"(?mi)^From:[^\n]*", b"From: eve@evil.example\r", raw, count=1)


def beside(*parts: bytes, held: str = "") -> Mail:
    """A mail of a good file and other parts: all of them silent, or one that is held, with a payload of its own."""
    return Mail(mixed(file(EDI), *parts), payloads=2 if held else 1, held=(held,) if held else ())


def left(data: bytes, words: str) -> Mail:
    """A mail with a file that holds a good interchange and something of which nothing can be made."""
    return Mail(mixed(file(data)), held=(words,))


QP = b"Content-Transfer-Encoding: quoted-printable"
B64 = b"Content-Transfer-Encoding: base64"
FLOWED = b"Content-Type: text/plain; charset=us-ascii; format=flowed"
TEXT = b"Content-Type: text/plain; charset=utf-8"
HTML = b"Content-Type: text/html; charset=utf-8"
X12 = b"Content-Type: application/EDI-X12"
LINES = base64.b64encode(EDI)
SHORT = EDI.replace(b"*0*P*:", b"*0*P*", 1)
HTML_COPY = b"<p>" + EDI.replace(b" ", b"&nbsp;").replace(b"\r\n", b"<br>\r\n") + b"</p>"
IN_PLACE = "lines that were wrapped"
ARCHIVE = "from the archive"

MAILS: dict[str, Mail] = {
    # ---------------------------------------------------------------- where clients put it
    "in the body": Mail(plain(EDI)),
    "in the body, one line": Mail(plain(ONE)),
    "in the body, no line end at all": Mail(plain(ONE.rstrip())),
    "as text/plain with a charset": Mail(plain(EDI, TEXT)),
    "as application/edi-x12": Mail(plain(EDI, X12)),
    "as application/octet-stream in base64": Mail(mixed(part(b"see file"), file(EDI))),
    "as text/plain attachment": Mail(mixed(part(b"hi", TEXT), file(EDI, kind=b"text/plain"))),
    "as text/csv": Mail(mixed(part(b"hi", TEXT), file(EDI, kind=b"text/csv"))),
    "as an image, which it is not": Mail(mixed(file(EDI, b"logo.png", b"image/png"))),
    "without any content type": Mail(mixed(EDI.join([b"\r\n", b""]))),
    "with logo and signature beside it": Mail(mixed(part(b"hi", HTML), file(b"\x89PNG\r\n", b"logo.png", b"image/png"), file(EDI))),
    "two files": Mail(mixed(file(EDI), file(OTHER, b"two.edi")), payloads=2),
    "two interchanges in one file": Mail(mixed(file(EDI + OTHER))),
    "in multipart/related in multipart/mixed": Mail(
        mixed(part(b"--i\r\n" + part(b"hi", TEXT) + b"\r\n--i\r\n" + file(EDI) + b"\r\n--i--", b"Content-Type: multipart/related; boundary=i"))
    ),
    "AppleDouble": Mail(mixed(file(b"\0\5\x16\7resource", kind=b"application/applefile"), file(EDI), kind=b"appledouble")),
    "quoted-printable": Mail(plain(quoted(ONE), QP)),
    "quoted-printable, lower case and blanks at line ends": Mail(plain(quoted(ONE).replace(b"=2A", b"=2a").replace(b"=\r\n", b"= \t\r\n"), QP)),
    "quoted-printable with bare LF": Mail(plain(quoted(ONE).replace(b"\r\n", b"\n"), QP)),
    "quoted-printable that nobody declared": Mail(plain(quoted(ONE)), repairs=("quoted-printable undone",)),
    "base64 that nobody declared": Mail(plain(encoded(EDI)), repairs=("base64 undone",)),
    "base64 in lines of 4": Mail(plain(encoded(EDI, 4), B64)),
    "base64 in one line": Mail(plain(base64.b64encode(EDI), B64)),
    "text before and after": Mail(plain(b"Hello,\r\nhere it is:\r\n\r\n" + EDI + FOOTER), repairs=("text before",)),
    "one line, disclaimer after": Mail(plain(ONE + FOOTER)),
    "UTF-8 BOM": Mail(plain(b"\xef\xbb\xbf" + EDI)),
    "UTF-8 BOM, base64": Mail(plain(base64.b64encode(b"\xef\xbb\xbf" + EDI), B64)),
    "UTF-16 LE with BOM": Mail(mixed(file(EDI.decode().encode("utf-16"))), repairs=("UTF-16",)),
    "UTF-16 LE without BOM": Mail(mixed(file(EDI.decode().encode("utf-16-le"))), repairs=("UTF-16",)),
    "UTF-16 BE with BOM": Mail(mixed(file(b"\xfe\xff" + EDI.decode().encode("utf-16-be"))), repairs=("UTF-16",)),
    "UTF-16 BE without BOM": Mail(mixed(file(EDI.decode().encode("utf-16-be"))), repairs=("UTF-16",)),
    "UTF-16, half a character": Mail(mixed(file(EDI.decode().encode("utf-16-le")[:-1])), "content.damaged", 0),
    "UTF-16 beyond Latin-1": Mail(mixed(file(EDI.replace(b"PO-1", b"PO-@").decode().replace("@", "\u4e00").encode("utf-16"))), "content.damaged", 0),
    "forwarded": Mail(mixed(part(b"fyi"), part(plain(EDI).replace(b"acme", b"other"), b"Content-Type: message/rfc822")), repairs=("forwarded",)),
    "forwarded as a whole": Mail(plain(plain(EDI), b"Content-Type: message/rfc822"), repairs=("forwarded",)),
    "forwarded by a stranger, written by ACME": Mail(
        HEAD.replace(b"edi@acme.example", b"eve@evil.example") + b"Content-Type: message/rfc822\r\n\r\n" + plain(EDI), "sender.unknown", repairs=("forwarded",)
    ),
    # ---------------------------------------------------------------- lines that clients changed
    "wrapped at 76": Mail(plain(wrapped(ONE, 76)), repairs=(IN_PLACE,)),
    "wrapped at 72 with bare LF": Mail(plain(wrapped(ONE, 72, b"\n")), repairs=(IN_PLACE,)),
    "wrapped at 80, as a file": Mail(mixed(file(wrapped(ONE, 80))), repairs=(IN_PLACE,)),
    "wrapped at 76, words around it": Mail(plain(b"Hello\r\n" + wrapped(ONE, 76) + FOOTER), repairs=(IN_PLACE, "text before")),
    "wrapped at 20": Mail(plain(wrapped(ONE, 20)), repairs=(IN_PLACE,)),
    "wrapped at 132": Mail(plain(wrapped(ONE, 132)), repairs=(IN_PLACE,)),
    "wrapped once, where nothing proves it": Mail(plain(wrapped(ONE, 300)), "content.damaged", 0),
    "wrapped at 76, one line shorter": Mail(plain(wrapped(ONE, 76).replace(b"Springfield", b"Springfiel", 1).replace(b"Springfi", b"Springf", 1)), "content.damaged", 0),
    "wrapped at 76, one character lost in the ISA": Mail(plain(wrapped(ONE.replace(b"ACMERETAIL     ", b"ACMERETAIL    ", 1), 76)), "content.damaged", 0),
    "wrapped at 76, a segment lost": Mail(plain(wrapped(ONE.replace(b"N3*1 Sample Street~", b"", 1), 76)), "content.damaged", 0),
    "wrapped at words": Mail(plain(b"\r\n".join(each.encode() for each in textwrap.wrap(ONE.decode(), 76))), "content.damaged", 0),
    "wrapped by a host that adds an exclamation mark": Mail(plain(wrapped(ONE, 140, b"!\r\n")), "content.damaged", 0),
    "wrapped where the terminator is a line end": Mail(plain(wrapped(EDI.replace(b"~\r\n", b"\n"), 50)), "content.damaged", 0),
    "format=flowed": Mail(plain(flowed(ONE), FLOWED), repairs=("flowed",)),
    "format=flowed with delsp": Mail(plain(flowed(ONE, delsp=True), FLOWED + b"; delsp=yes"), repairs=("flowed",)),
    "format=flowed, nothing flowed": Mail(plain(EDI, FLOWED)),
    "format=flowed, blanks after terminators": Mail(plain(EDI.replace(b"~\r\n", b"~ \r\n"), FLOWED), repairs=("blanks",)),
    "flowed but not declared": Mail(plain(flowed(ONE)), "content.damaged", 0),
    "blanks collapsed": Mail(plain(b" ".join(EDI.split(b" ")[:1] + [each for each in EDI.split(b" ")[1:] if each])), "content.damaged", 0),
    "blanks collapsed in a file is the partner's doing": Mail(mixed(file(b" ".join([each for each in EDI.split(b" ") if each])))),
    "quoted in an answer": Mail(plain(b"> " + EDI.replace(b"\r\n", b"\r\n> ")), "content.damaged", 0),
    "non-breaking spaces": Mail(plain(EDI.replace(b"    ", b"\xc2\xa0\xc2\xa0\xc2\xa0\xc2\xa0"), TEXT), "content.damaged|content.missing", 0),
    "non-breaking spaces in Latin-1": Mail(mixed(file(EDI.replace(b"     ", b"\xa0" * 5))), "content.damaged", 0),
    "typographic quotes": Mail(plain(EDI.replace(b"Sample", b"\xe2\x80\x9cSample\xe2\x80\x9d"), TEXT), "content.damaged", 0),
    # ---------------------------------------------------------------- transfer encodings that are broken
    "base64 with junk in its lines": Mail(plain(encoded(EDI).replace(b"\r\n", b"!\r\n*", 3), B64), repairs=("foreign characters",)),
    "base64 with a footer": Mail(plain(encoded(EDI) + b"\r\n--\r\nlist footer, sent by nobody\r\n", B64), repairs=("foreign characters",)),
    "base64 without its padding": Mail(plain(encoded(ONE + b"\n" * (2 - len(ONE) % 3)).rstrip(b"="), B64), repairs=("its end filled up",)),
    "base64 with a character replaced": Mail(plain(encoded(EDI).replace(LINES[20:21], b"!", 1), B64), "content.damaged", 0),
    "base64 with four characters replaced": Mail(plain(encoded(EDI)[:120] + b"!!!!" + encoded(EDI)[124:], B64), "content.damaged", 0),
    "base64 with a line lost and junk": Mail(plain(b"\r\n".join(encoded(EDI).replace(b"\r\n", b"!\r\n").split(b"\r\n")[:2] + encoded(EDI).split(b"\r\n")[3:]), B64), "content.damaged", 0),
    "base64 cut short": Mail(plain(encoded(EDI)[:333], B64), "content.damaged", 0),
    "base64 that goes on after its end": Mail(plain(base64.b64encode(EDI + b"\n") + b"==" + base64.b64encode(OTHER), B64), "content.damaged", 0),
    "base64 of another alphabet": Mail(plain(LINES.replace(b"+", b"-").replace(b"/", b"_") + b"-_-_", B64), "content.damaged", 0),
    "quoted-printable, broken escape": Mail(plain(quoted(ONE).replace(b"=2A", b"=XA", 1), QP), "content.damaged", 0),
    "an encoding that clients misspell": Mail(plain(EDI, b"Content-Transfer-Encoding: 8-Bit")),
    "an encoding nobody knows": Mail(mixed(part(EDI.replace(b"Springfield", b"Spring%66ield", 1), X12, b"Content-Transfer-Encoding: x-rot13")), "content.damaged", 0),
    "uuencoded": Mail(mixed(part(b"begin 644 a.edi\r\n#25-!\r\nend\r\n", b'Content-Type: application/octet-stream; name="a.edi"')), "payload.not-x12", 0),
    "uuencoded, in the body": Mail(plain(b"Orders of today:\r\n" + uuencoded(EDI) + FOOTER), repairs=("uuencode undone",)),
    "uuencoded, as it is declared": Mail(mixed(part(uuencoded(ONE), X12, b"Content-Transfer-Encoding: x-uuencode")), repairs=("uuencode undone",)),
    "uuencoded, two files in the body": Mail(plain(uuencoded(ONE) + b"\r\n" + uuencoded(OTHER)), repairs=("uuencode undone",)),
    "uuencoded, cut short": Mail(plain(uuencoded(EDI)[:300]), "payload.not-x12", 0),
    "uuencoded, as it is declared, cut short": Mail(plain(uuencoded(EDI)[:300], b"Content-Transfer-Encoding: x-uuencode"), "content.damaged", 0),
    "base64 declared, and none there": Mail(mixed(part(EDI, X12, B64)), repairs=("nothing undone",)),
    "an encoding nobody knows, and none there": Mail(mixed(part(EDI, X12, b"Content-Transfer-Encoding: us-ascii")), repairs=("nothing undone",)),
    "base64 in two padded pieces": Mail(mixed(part(encoded(EDI[:100]) + encoded(EDI[100:]), X12, B64)), repairs=("piece by piece",)),
    "base64 declared twice, in upper and lower case": Mail(mixed(part(encoded(EDI), X12, B64, B64.upper()))),
    "a boundary with a comment behind it": Mail(
        HEAD + b"Content-Type: multipart/mixed; boundary=b (made by us)\r\n\r\n--b\r\n" + file(EDI) + b"\r\n--b--\r\n"
    ),
    "a file with two names": Mail(mixed(part(EDI, X12, b'Content-Disposition: attachment; filename="a.edi"; filename="b.edi"'))),
    # ---------------------------------------------------------------- archives
    "zip": Mail(mixed(file(zipped(("a.edi", EDI)), b"a.zip")), repairs=(ARCHIVE,)),
    "zip with two files and a letter": Mail(mixed(file(zipped(("a.edi", EDI), ("b.edi", OTHER), ("readme.txt", b"hi")), b"a.zip")), payloads=2, repairs=(ARCHIVE,)),
    "zip, stored": Mail(mixed(file(zipped(("a.edi", EDI), method=zipfile.ZIP_STORED), b"a.zip")), repairs=(ARCHIVE,)),
    "zip whose file names climb": Mail(mixed(file(zipped(("../../etc/cron.d/x", EDI)), b"a.zip")), repairs=(ARCHIVE,)),
    "zip with a password": Mail(mixed(file(locked(EDI), b"a.zip")), "content.archive-locked", 0),
    "zip in a zip": Mail(mixed(file(zipped(("b.zip", zipped(("a.edi", EDI)))), b"a.zip")), "content.archive-refused", 0),
    "zip bomb": Mail(mixed(file(zipped(("a.edi", EDI + b"0" * 60_000_000)), b"a.zip")), "content.archive-refused", 0),
    "zip of 201 files": Mail(mixed(file(zipped(*[(f"{n}.edi", b"x") for n in range(201)]), b"a.zip")), "content.archive-refused", 0),
    "zip of 5,000 files": Mail(mixed(file(zipped(*[(f"{n}.edi", b"") for n in range(5_000)]), b"a.zip")), "content.archive-refused", 0),
    "zip cut short": Mail(mixed(file(zipped(("a.edi", EDI))[:-30], b"a.zip")), "content.damaged", 0),
    "zip with a damaged file": Mail(mixed(file(zipped(("a.edi", EDI)).replace(b"\x00\x00\x00\x00\x00\x00", b"\x00\x00\x00\x00\x00\x01", 1)[:60] + b"\0" * 90 + zipped(("a.edi", EDI))[150:], b"a.zip")), "content.damaged", 0),
    "zip by lzma": Mail(mixed(file(zipped(("a.edi", EDI), method=zipfile.ZIP_LZMA), b"a.zip")), "content.archive-refused", 0),
    "zip without X12": Mail(mixed(file(zipped(("a.csv", b"1;2")), b"a.zip")), "payload.not-x12", 0),
    "a document of a word processor is no archive": Mail(mixed(file(zipped(("[Content_Types].xml", b"<x/>"), ("word/a.zip", zipped(("a", b"b")))), b"a.docx"), file(EDI))),
    "gzip": Mail(mixed(file(gzip.compress(EDI), b"a.edi.gz")), repairs=(ARCHIVE,)),
    "gzip in two members, filled up with zeros": Mail(mixed(file(gzip.compress(EDI[:200]) + gzip.compress(EDI[200:]) + b"\0" * 9, b"a.gz")), repairs=(ARCHIVE,)),
    "gzip bomb": Mail(mixed(file(bomb(60_000_000), b"a.gz")), "content.archive-refused", 0),
    "gzip of 20,000 members": Mail(mixed(file(many_gzips(20_000), b"a.gz")), "content.archive-refused", 0),
    "gzip cut short": Mail(mixed(file(gzip.compress(EDI)[:-9], b"a.gz")), "content.damaged", 0),
    "gzip with a wrong checksum": Mail(mixed(file(gzip.compress(EDI)[:-8] + b"\0" * 8, b"a.gz")), "content.damaged", 0),
    "gzip with something after it": Mail(mixed(file(gzip.compress(EDI) + EDI, b"a.gz")), "content.damaged", 0),
    "gzip of a zip": Mail(mixed(file(gzip.compress(zipped(("a.edi", EDI))), b"a.gz")), "content.archive-refused", 0),
    "7-Zip": Mail(mixed(file(b"7z\xbc\xaf\x27\x1c\0\4", b"a.7z")), "payload.not-x12", 0),
    "winmail.dat": Mail(mixed(part(b"hi"), file(winmail(("orders.edi", EDI)), b"winmail.dat", b"application/ms-tnef")), repairs=("TNEF",)),
    "winmail.dat filled up with zeros": Mail(mixed(file(winmail(("orders.edi", EDI)) + b"\0" * 99, b"winmail.dat")), repairs=("TNEF",)),
    "winmail.dat with a zip in it": Mail(mixed(file(winmail(("a.zip", zipped(("a.edi", EDI)))), b"winmail.dat")), repairs=(ARCHIVE,)),
    "winmail.dat with values of no size": Mail(mixed(file(countless(), b"winmail.dat")), "content.damaged", 0),
    "winmail.dat with EDI as its text": Mail(mixed(file(winmail(body=EDI), b"winmail.dat")), repairs=("TNEF",)),
    "winmail.dat of a meeting": Mail(mixed(file(winmail(body=b"Let us meet"), b"winmail.dat")), "content.missing", 0),
    "winmail.dat with a lying length": Mail(mixed(file(winmail(("a.edi", EDI), lie=70_000), b"winmail.dat")), "content.damaged", 0),
    "winmail.dat with a wrong checksum": Mail(mixed(file(winmail(("a.edi", EDI), checksum=1), b"winmail.dat")), "content.damaged", 0),
    "winmail.dat cut short": Mail(mixed(file(winmail(("a.edi", EDI))[:300], b"winmail.dat")), "content.damaged", 0),
    "winmail.dat of nothing": Mail(mixed(file(b"\x78\x9f\x3e\x22", b"winmail.dat")), "content.missing", 0),
    # ---------------------------------------------------------------- the same again, and contradictions
    "in the text and as a file": Mail(mixed(part(EDI, TEXT), file(EDI)), repairs=("counts once",)),
    "spoiled in the text, sound as a file": Mail(mixed(part(b" ".join(EDI.split()), TEXT), file(EDI))),
    "plain and HTML": Mail(mixed(part(EDI, TEXT), part(HTML_COPY, HTML), kind=b"alternative")),
    "plain and HTML that says something else": Mail(mixed(part(EDI, TEXT), part(b"<pre>" + OTHER + b"</pre>", HTML), kind=b"alternative"), "message.malformed"),
    "two plain forms that differ": Mail(mixed(part(EDI, TEXT), part(OTHER, TEXT), kind=b"alternative"), "message.malformed"),
    "HTML alone": Mail(plain(b"<pre>" + EDI + b"</pre>", HTML), "content.damaged", 0),
    "HTML alone, its blanks kept": Mail(plain(HTML_COPY, HTML), "content.damaged", 0),
    "a good file, and another in HTML": Mail(mixed(file(EDI), part(HTML_COPY.replace(b"000000001", b"000000009"), HTML)), "content.damaged"),
    "a good file, and the same in HTML": Mail(mixed(file(EDI), part(HTML_COPY, HTML))),
    "the same file twice": Mail(mixed(file(EDI), file(EDI, b"copy.edi")), payloads=2),
    "one good file, one damaged": Mail(mixed(file(EDI), part(b"SVNB!", X12, B64)), "content.damaged"),
    # ---------------------------------------------------------------- lists and gateways that write to everybody
    "by a list, behind words": Mail(plain(b"Order: " + EDI, b"Precedence: bulk"), repairs=("text before",)),
    "by a list, in UTF-16": Mail(plain(base64.b64encode(EDI.decode().encode("utf-16")), b"List-Id: <edi.acme.example>", B64), repairs=("UTF-16",)),
    "by a list, uuencoded": Mail(plain(uuencoded(EDI), b"Precedence: list"), repairs=("uuencode undone",)),
    "by a list, in HTML": Mail(plain(b"<pre>" + EDI + b"</pre>", b"List-Unsubscribe: <mailto:u@acme.example>", HTML), "content.damaged", 0),
    "by a list, quoted": Mail(plain(b"> " + EDI.replace(b"\r\n", b"\r\n> "), b"Precedence: bulk"), payloads=0, kind="auto-reply"),
    "an answer that quotes an interchange in a line": Mail(plain(b"You wrote: " + EDI, b"Auto-Submitted: auto-replied"), payloads=0, kind="auto-reply"),
    # ---------------------------------------------------------------- not X12, beside a good file
    "a second interchange in UTF-16 in one file": left(EDI + OTHER.decode().encode("utf-16"), "it is X12 in UTF-16"),
    "a second interchange in one text, uuencoded": Mail(plain(EDI + b"\r\n" + uuencoded(OTHER)), held=("uuencode",)),
    "a second interchange in one text, in base64": Mail(plain(EDI + b"\r\n" + encoded(OTHER)), held=("base64 stands in it",)),
    "a second file that lost its first byte": beside(file(OTHER[1:], b"two.edi"), held="two.edi is not X12: segments stand in it"),
    "a second file that lost its first byte, in text": beside(part(OTHER[1:], TEXT, b'Content-Disposition: attachment; filename="two.txt"'), held="two.txt is not X12: segments"),
    "a second file that lost it, under no telling name": beside(file(OTHER[1:], b"data.bin"), held="data.bin is not X12: segments"),
    "a second file that lost its ISA": beside(file(OTHER[106:], b"two.edi", b"application/EDI-X12"), held="without the ISA"),
    "a second file that uuencode wrote into the text, cut short": beside(part(uuencoded(OTHER)[:300], TEXT), held="uuencode"),
    "a second file that yEnc wrote into the text": beside(part(b"Hello\r\n=ybegin line=128 size=9 name=a.edi\r\n", TEXT), held="yEnc"),
    "a second file in base64 within words": beside(part(b"Hello\r\n\r\n" + encoded(OTHER), TEXT), held="base64 stands in it"),
    "a second file within a mail that came as a file": beside(file(b"Subject: x\r\n\r\n" + encoded(OTHER), b"fwd.eml"), held="base64 stands in it"),
    "a second file that uuencode wrote into HTML": beside(part(uuencoded(OTHER)[:300], HTML), held="uuencode"),
    "a second file in HTML, declared as uuencoded": Mail(mixed(file(EDI), part(uuencoded(OTHER), HTML, b"Content-Transfer-Encoding: uuencode")), "content.damaged"),
    "a second interchange that PGP encrypted in the text": beside(part(b"Hello\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQ\r\n", TEXT), held="PGP"),
    "PGP in the text alone": Mail(plain(b"Hello\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQ\r\n"), "payload.not-x12", 0),
    "a logo that uuencode wrote into the text": beside(part(b"begin 644 logo.gif\r\n#25-!\r\nend\r\n", TEXT)),
    "a second file that is EDIFACT": beside(file(b"UNB+UNOC:3+A:1+B:1+260101:1200+1'UNZ+0+1'", b"two.txt", b"text/plain"), held="EDIFACT"),
    "a second file in EBCDIC": beside(file(OTHER.decode().encode("cp037"), b"two"), held="EBCDIC"),
    "a second file in 7-Zip": beside(file(b"7z\xbc\xaf\x27\x1c\0\4", b"two.7z"), held="a 7-Zip archive"),
    "a second file that PGP encrypted": beside(file(b"-----BEGIN PGP MESSAGE-----\r\n", b"two.asc"), held="encrypted by PGP"),
    "a second file of which nobody knows what it is": beside(file(b"\1\0\0\2two", b"two.bin"), held="its first bytes: '\\x01\\x00\\x00\\x02two'"),
    "a second file of words under the type of EDI": beside(file(b"see above", b"note.txt", b"application/EDI-X12"), held="no ISA segment"),
    "a second file of words under the name of EDI": beside(file(b"see above", b"ACME_EDI.txt", b"text/plain"), held="no ISA segment"),
    "a second file of no bytes": beside(file(b"", b"two.edi"), held="there is nothing in it"),
    "a second file in a zip with the first": Mail(mixed(file(zipped(("a.edi", EDI), ("b.edi", OTHER[1:])), b"a.zip")), payloads=2, repairs=(ARCHIVE,), held=("b.edi is not X12",)),
    "a damaged file first": Mail(mixed(file(OTHER[1:], b"one.edi"), file(EDI)), payloads=2, held=("one.edi is not X12",)),
    "words, pictures and signatures": beside(
        part(b"The order ST*850*0001 comes as a file.", TEXT), part(b"<!DOCTYPE html><p>ST*850*0001~SE*2*0001~", HTML),
        file(b"%PDF-1.7\n\0", b"EDI order.pdf"), file(b"\x89PNG\r\n\0", b"edi.png", b"image/png"), file(b"\xff\xd8\xff\xe0\0", b"photo"),
        file(b"BEGIN:VCARD\r\n", b"edi.vcf", b"text/vcard"), file(b"0\x82\0\1", b"smime.p7s"), file(b"-----BEGIN PGP SIGNATURE-----", b"orders.edi.asc"),
        file(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", b"EDI 850.doc"), file(zipped(("[Content_Types].xml", b"<x/>")), b"EDI.xlsx"),
        file(b"<?xml version='1.0'?><order/>", b"order.xml", b"text/xml"), file(b"1;2", b"orders.csv", b"text/csv"), file(b"read me", b"readme.txt"),
    ),
    "what Outlook and a Mac pack beside a file": beside(
        file(winmail(("image001.png", b"\x89PNG\0"), ("rest", b"\0\0\2"), body=b"Let us meet"), b"winmail.dat"),
        file(zipped(("._a.edi", b"\0\5\x16\7"), (".DS_Store", b"\0\0\0\1Bud1"), ("Thumbs.db", b"\xd0\xcf\0")), b"a.zip"),
    ),
    # ---------------------------------------------------------------- EDI around an interchange that no ISA opens
    "a second interchange whose ISA is damaged": left(EDI + OTHER.replace(b"ISA*", b"IXA*", 1), "(bytes 452 to 872) is not X12: segments stand in it"),
    "a second interchange without its ISA": left(EDI + OTHER[106:], "(bytes 452 to 766) is not X12: it begins with a set or group"),
    "a damaged interchange before a good one": left(OTHER[1:] + b"\r\n" + EDI, "(bytes 1 to 420)"),
    "a damaged interchange between two": left(EDI + OTHER[2:] + EDI, "(bytes 452 to"),
    "a damaged interchange in other separators": left(EDI + OTHER.replace(b"*", b"|").replace(b"~", b"'")[3:], "(bytes 452 to"),
    "the head of an ISA behind the IEA": left(EDI + OTHER[:70], "(bytes 452 to 521) is not X12: its ISA is cut short"),
    "the end of an interchange behind the IEA": left(EDI + b"GE*1*2~IEA*1*000000002~\r\n", "(bytes 452 to 474)"),
    "EDIFACT behind the IEA": left(EDI + b"UNB+UNOC:3+A:1+B:1+260101:1200+1'UNZ+0+1'", "EDIFACT"),
    "a damaged interchange in the text, a disclaimer after": Mail(plain(EDI + OTHER[1:] + FOOTER), held=("(bytes 452 to 944)",)),
    "a Ctrl-Z and blanks behind the IEA": Mail(mixed(file(EDI + b"\r\n\x1a\0\0  "))),
    "words behind the IEA that speak of segments": Mail(plain(EDI + b"-- \r\nWe read ST*850*0001, SE*2*0001 and GS*PO.\r\nGE-12-30 SE-114-36 Stockholm\r\n")),
    # ---------------------------------------------------------------- not X12
    "EDIFACT": Mail(mixed(file(b"UNA:+.? 'UNB+UNOC:3+A:1+B:1+260101:1200+1'UNZ+0+1'")), "payload.not-x12", 0),
    "XML": Mail(mixed(file(b"<?xml version='1.0'?><order/>", b"a.xml")), "payload.not-x12", 0),
    "EBCDIC": Mail(mixed(file(EDI.decode().encode("cp037"))), "payload.not-x12", 0),
    "a set without its ISA": Mail(mixed(file(b"ST*850*0001~SE*2*0001~")), "payload.not-x12", 0),
    "an attachment of 0 bytes": Mail(mixed(file(b"")), "payload.not-x12", 0),
    "an entity bomb": Mail(mixed(file(b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>', b"a.xml", b"application/xml")), "payload.not-x12", 0),
    "a calendar": Mail(mixed(part(b"BEGIN:VCALENDAR\r\nEND:VCALENDAR", b"Content-Type: text/calendar")), "content.missing", 0),
    "a letter": Mail(plain(b"When will you pay? VISA*00* is fine."), "content.missing", 0),
    "headers only": Mail(HEAD, "content.missing", 0),
    "nothing": Mail(b"", "message.malformed", 0),
    "message/partial": Mail(plain(EDI, b"Content-Type: message/partial; id=1; number=1"), "content.damaged", 0),
    "message/external-body": Mail(plain(b"", b"Content-Type: message/external-body; access-type=URL"), "content.damaged", 0),
    # ---------------------------------------------------------------- who answers by itself
    "out of office": Mail(plain(b"I am away", b"Auto-Submitted: auto-replied"), payloads=0, kind="auto-reply"),
    "out of office that quotes": Mail(plain(b"I am away\r\n> " + EDI, b"Auto-Submitted: auto-replied"), payloads=0, kind="auto-reply"),
    "a newsletter": Mail(plain(b"News!", b"List-Unsubscribe: <mailto:x@y.example>", b"Precedence: bulk"), payloads=0, kind="auto-reply"),
    "bulk mail with EDI is EDI": Mail(plain(EDI, b"Precedence: bulk")),
    "bulk mail with a damaged file is no newsletter": Mail(mixed(part(b"SVNB!", X12, B64), headers=b"Precedence: bulk\r\n"), "content.damaged", 0),
    "51 hosts": Mail(b"Received: from a by b; now\r\n" * 51 + plain(EDI), "message.loop", 0),
    "our own mail": Mail(plain(EDI).replace(b"edi@acme.example", b"edi@us.example").replace(b"<h1@acme.example>", b"<" + b"a1" * 20 + b"@us.example>"), "message.loop", 0),
    # ---------------------------------------------------------------- structure
    "no closing boundary": Mail(mixed(file(EDI))[:-9]),
    "a boundary that never appears": Mail(mixed(file(EDI)).replace(b"--=_b", b"--=_c"), "message.malformed", 0),
    "an empty boundary": Mail(mixed(file(EDI), boundary=b""), "message.malformed", 0),
    "no boundary": Mail(plain(EDI, b"Content-Type: multipart/mixed"), "message.malformed", 0),
    "the inner boundary is the outer": Mail(mixed(part(b"--=_b\r\n\r\nx\r\n--=_b--", b"Content-Type: multipart/mixed; boundary==_b")), "message.malformed", 0),
    "depth 11": Mail(nested(11), "message.too-deep", 0),
    "depth 2,000": Mail(nested(2_000), "message.too-deep|message.headers-too-large", 0),
    "201 parts": Mail(mixed(*[b"\r\nx"] * 201), "message.too-many-parts", 0),
    "10,000 parts": Mail(mixed(*[b"\r\nx"] * 10_000), "message.too-many-parts", 0),
    "1,001 headers": Mail(b"X: y\r\n" * 1_001 + plain(EDI), "message.headers-too-large", 0),
    "a header of 70 kB": Mail(b"X: " + b"y" * 70_000 + b"\r\n" + plain(EDI), "message.headers-too-large", 0),
    "two content types": Mail(plain(EDI, TEXT, HTML), "message.malformed", 0),
    "two transfer encodings": Mail(plain(EDI, B64, QP), "message.malformed", 0),
    "a NUL in a header": Mail(b"X: \0\r\n" + plain(EDI), "message.malformed", 0),
    "a line that is no header": Mail(b"hello\r\n" + plain(EDI), "message.malformed", 0),
    "bare LF everywhere": Mail(mixed(file(EDI)).replace(b"\r\n", b"\n")),
    "bare CR everywhere": Mail(plain(ONE).replace(b"\r\n", b"\r")),
    "EDI before the first boundary": Mail(mixed(part(b"hi")).replace(b"\r\n\r\n--=_b", b"\r\n\r\n" + EDI + b"\r\n--=_b", 1), "content.missing", 0),
    "EDI after the last boundary": Mail(mixed(part(b"hi")) + EDI, "content.missing", 0),
    "a file name with every trick": Mail(mixed(part(EDI, b"Content-Disposition: attachment; filename*=utf-8''..%2F%E2%80%AEide.exe%0d%0aX%3a%00"))),
    # ---------------------------------------------------------------- who sent it
    "two From headers": Mail(SENDER + plain(EDI), "sender.ambiguous"),
    "two addresses": Mail(plain(EDI).replace(SENDER, b"From: edi@acme.example, eve@evil.example\r\n"), "sender.ambiguous"),
    "a group": Mail(plain(EDI).replace(SENDER, b"From: a: edi@acme.example;\r\n"), "sender.ambiguous"),
    "a comment": Mail(plain(EDI).replace(SENDER, b"From: edi@acme.example (me)\r\n"), "sender.ambiguous"),
    "the address as a display name": Mail(plain(EDI).replace(SENDER, b'From: "edi@acme.example" <eve@evil.example>\r\n'), "sender.unknown"),
    "an encoded address": Mail(plain(EDI).replace(SENDER, b"From: =?utf-8?q?edi=40acme.example?=\r\n"), "sender.ambiguous"),
    "a Cyrillic look-alike": Mail(plain(EDI).replace(SENDER, "From: edi@\u0430cme.example\r\n".encode()), "sender.unknown"),
    "full-width letters": Mail(plain(EDI).replace(SENDER, "From: edi@\uff41cme.example\r\n".encode()), "sender.ambiguous"),
    "a sub-domain": Mail(plain(EDI).replace(SENDER, b"From: edi@mail.acme.example\r\n"), "sender.unknown"),
    "a dot at the end": Mail(plain(EDI).replace(SENDER, b"From: edi@ACME.example.\r\n")),
    "no From": Mail(plain(EDI).replace(SENDER, b"Sender: edi@acme.example\r\n"), "sender.ambiguous"),
    "Reply-To of somebody else": Mail(plain(EDI, b"Reply-To: eve@evil.example", b"Sender: eve@evil.example")),
}  # fmt: skip
