"""Attachments packed before they are mailed, gzip (RFC 1952) or zip: pure, the same bytes for the same attachment."""

from __future__ import annotations

import gzip
import io
import zipfile
from datetime import UTC, datetime

from msgspec.structs import replace

from gateway.mail.model import Attachment

_OLDEST = (1980, 1, 1, 0, 0, 0)  # what a zip can say


def packed(attachment: Attachment, how: str, moment: float) -> Attachment:
    """The attachment as it is (``none``), or inside one archive with a name of its own.

    Args:
        attachment: what is packed.
        how: none, gzip or zip.
        moment: when the file in the archive was made, seconds since the epoch (UTC).
    """
    name, data = attachment.file_name, attachment.data
    if how == "gzip":
        return replace(
            attachment,
            file_name=f"{name}.gz",
            content_type="application/gzip",
            data=gzip.compress(data, mtime=int(moment)),
        )
    if how == "zip":
        return replace(
            attachment, file_name=f"{name}.zip", content_type="application/zip", data=_zip(name, data, moment)
        )
    return attachment


def _zip(name: str, data: bytes, moment: float) -> bytes:
    date = max(_OLDEST, datetime.fromtimestamp(moment, UTC).timetuple()[:6])
    entry = zipfile.ZipInfo(name or "document", date)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    entry.create_system = 3  # or it would depend on where we run
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(entry, data)
    return target.getvalue()
