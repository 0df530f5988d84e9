"""Archives in mails, opened one level deep and within bounds: zip, gzip and winmail.dat.

What is in them is given as parts of the mail, with the archive's name as their origin. What cannot be opened is a
fault and never passed over: it may have been an interchange.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

from msgspec.structs import replace

from gateway.errors import ArchiveLocked, ArchiveRefused, ContentDamaged
from gateway.mail import tnef
from gateway.mail.labels import label
from gateway.mail.model import Part
from gateway.settings.model import Limits

ALWAYS_ALLOWED = 1_000_000  # bytes that may come out of any archive, whatever its ratio
_PIECE, _CHUNK = 1 << 20, 1 << 16  # bytes decompressed, and given to be decompressed, at once
_MEMBERS = 10_000  # of one gzip file
_ZIP, _GZIP = b"PK\x03\x04", b"\x1f\x8b\x08"
_ZIP_END, _ZIP_ENTRY = b"PK\x05\x06", 1_000  # bytes of the directory for one file, generously
_DOCUMENTS = frozenset({"[Content_Types].xml", "mimetype"})  # the first file in those of word processors
_UNREAD = (
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"\x1f\x9d", "a compress (.Z) file"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"-----BEGIN PGP MESSAGE", "a file that was encrypted by PGP"),
)
_TAR, _TAR_AT = b"ustar", 257


def unread_kind(data: bytes) -> str:
    """What a file is that we know and do not open, in words, or ""."""
    if data[_TAR_AT : _TAR_AT + 5] == _TAR:
        return "a tar archive"
    return next((words for magic, words in _UNREAD if data.startswith(magic)), "")


def contents(part: Part, limits: Limits) -> tuple[Part, ...]:
    """The part itself, or the parts in the archive that it is.

    Raises:
        ArchiveRefused: past a bound of ``limits``, or an archive in an archive.
        ArchiveLocked: it needs a password.
        ContentDamaged: it is broken.
    """
    name = part.file_name or part.path
    if part.data.startswith(_ZIP):
        found = tuple(_zip(part.data, name, limits))
    elif part.data.startswith(_GZIP):
        found = (_gzip(part.data, name, limits),)
    elif part.data.startswith(tnef.SIGNATURE):
        return _tnef(part, name, limits)
    else:
        return (part,)
    return tuple(_inner(part, number, *each, f"from the archive {name}") for number, each in enumerate(found, 1))


def _inner(part: Part, number: int, name: str, data: bytes, origin: str) -> Part:
    file_name = label(name)
    if data.startswith((_ZIP, _GZIP)):
        raise ArchiveRefused(
            name=part.file_name or part.path, reason=f"{file_name or 'a file'} in it is an archive too."
        )
    return replace(
        part,
        path=f"{part.path}/{number}",
        content_type="application/octet-stream",
        file_name=file_name,
        charset="",
        encoding="",
        data=data,
        parameters=(),
        origin=origin,
    )


# ---------------------------------------------------------------- zip and gzip


def _zip(data: bytes, name: str, limits: Limits) -> Iterator[tuple[str, bytes]]:
    _check_directory(data, name, limits)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > limits.archive_files:
                raise ArchiveRefused(name=name, reason=f"it has more than {limits.archive_files} files.")
            if entries and entries[0].filename in _DOCUMENTS:
                return  # a text or a sheet of a word processor, which happens to be a zip
            left = _allowance(len(data), limits)
            for entry in entries:
                if entry.is_dir():
                    continue
                content = _zip_entry(archive, entry, name, left)
                left -= len(content)
                yield entry.filename, content
    except _BROKEN as problem:
        raise ContentDamaged(part=name, reason=f"the zip is broken: {str(problem)[:100]}") from problem


# All that zipfile was seen to raise on damaged archives.
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, NotImplementedError),
    *(RuntimeError, UnicodeError, IndexError, OverflowError),
)


def _check_directory(data: bytes, name: str, limits: Limits) -> None:
    """The directory is read as a whole by zipfile: its size is bounded before."""
    at = data.rfind(_ZIP_END, max(0, len(data) - 66_000))
    if at < 0 or at + 20 > len(data):
        raise ContentDamaged(part=name, reason="the zip has no directory at its end: it is cut short or damaged")
    size = int.from_bytes(data[at + 12 : at + 16], "little")
    if size > limits.archive_files * _ZIP_ENTRY:
        raise ArchiveRefused(name=name, reason=f"its directory is for more than {limits.archive_files} files.")


def _zip_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, left: int) -> bytes:
    if entry.flag_bits & 0x1:
        raise ArchiveLocked(name=name)
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ArchiveRefused(name=name, reason="it is compressed in a way that is not read; use plain zip.")
    out = io.BytesIO()
    with archive.open(entry) as stream:
        while piece := stream.read(_PIECE):
            out.write(piece)
            if out.tell() > left:
                raise _bomb(name)
    return out.getvalue()


def _gzip(data: bytes, name: str, limits: Limits) -> tuple[str, bytes]:
    left = _allowance(len(data), limits)
    out = io.BytesIO()
    at = 0
    try:
        for _ in range(_MEMBERS):  # several may stand in a row (RFC 1952 section 2.2)
            at = _gunzip(data, at, out, left, name)
            if not data.startswith(_GZIP, at):
                break
        else:
            raise ArchiveRefused(name=name, reason=f"it has more than {_MEMBERS} members.")
    except zlib.error as problem:
        raise ContentDamaged(part=name, reason=f"the gzip is broken after {out.tell()} bytes") from problem
    if data[at:].strip(b"\0"):  # some tools fill it up with zeros
        raise ContentDamaged(part=name, reason="something follows the gzip that is none")
    stem = name[:-3] if name.lower().endswith(".gz") else name
    return stem, out.getvalue()


def _gunzip(data: bytes, at: int, out: io.BytesIO, left: int, name: str) -> int:
    """Decompresses the member at ``at`` into ``out``, a piece at a time, and returns where it ends."""
    engine = zlib.decompressobj(16 + zlib.MAX_WBITS)
    while not engine.eof:
        chunk = engine.unconsumed_tail
        if not chunk:
            chunk = data[at : at + _CHUNK]
            at += len(chunk)
        piece = engine.decompress(chunk, _PIECE)
        out.write(piece)
        if out.tell() > left:
            raise _bomb(name)
        if not (chunk or piece or engine.eof):
            raise zlib.error("it is cut short")
    return at - len(engine.unused_data)


def _allowance(size: int, limits: Limits) -> int:
    return min(limits.decompressed, max(ALWAYS_ALLOWED, size * limits.decompression_ratio))


def _bomb(name: str) -> ArchiveRefused:
    return ArchiveRefused(
        name=name, reason="far more comes out of it than is in it (limits.decompressed and its ratio)."
    )


# ---------------------------------------------------------------- winmail.dat


def _tnef(part: Part, name: str, limits: Limits) -> tuple[Part, ...]:
    found: list[Part] = []
    for number, each in enumerate(tnef.read_tnef(part.data, name, limits), 1):
        inner = replace(
            part,
            path=f"{part.path}/{number}",
            content_type="text/plain" if each.is_body else "application/octet-stream",
            file_name=label(each.name),
            charset="",
            encoding="",
            data=each.data,
            parameters=(),
            origin=f"from {name} (TNEF)",
        )
        # Outlook packs all attachments into its container, so a zip in it is no archive in an archive.
        found += contents(inner, limits) if not each.data.startswith(tnef.SIGNATURE) else [inner]
    return tuple(found)
