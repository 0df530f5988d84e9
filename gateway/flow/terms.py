"""Terms: what was settled for something that goes, or went, to a partner, as the profile says it now."""

from __future__ import annotations

from itertools import product

from partners.directory import Directory
from partners.model import Agreement, Direction


def terms_of(directory: Directory, partner: str, agreement: str, types: str, versions: str) -> Agreement | None:
    """The agreement of that name; else the one that is about such a document by now. None: there is neither.

    Args:
        directory: the profiles as they are now.
        partner: the key, perhaps of a partner that is gone.
        agreement: its name when the document was submitted; such a name may be made of the agreement's sets.
        types: ST01 of its sets, with blanks between; nothing of what is no document.
        versions: GS08 of its groups, with blanks between.
    """
    if partner not in directory:
        return None
    return directory.get(partner).agreement_named(agreement, Direction.OUT, product(types.split(), versions.split()))
