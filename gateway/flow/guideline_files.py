"""The guideline files that profiles name: read and checked when a profile is applied, and kept inside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gateway.errors import GuidelineInvalid, ProfileInvalid
from gateway.settings import Settings
from gateway.settings.lines import key_lines, line_of
from gateway.x12.guideline.partner import read_partner_guideline
from partners.directory import overlaps
from partners.model import Agreement, Identity
from partners.profile import read_profile, with_guidelines
from partners.store import Profile


def with_guideline_files(profile: Profile, directory: Path) -> Profile:
    """The profile with a copy of every guideline that its agreements name, so that no file can get lost.

    A profile that was exported carries its copies; then a file of that name must say the same.

    Args:
        profile: as read from its file.
        directory: the home's directory of partners, where the paths begin.

    Raises:
        ProfileInvalid: a guideline file is missing, differs from the copy, or judges no set of the agreement.
        GuidelineInvalid: something is wrong in a guideline file.
    """
    partner, text, file = profile
    texts = dict(partner.guidelines)
    for index, agreement in enumerate(partner.agreements):
        if not agreement.guideline:
            continue
        try:
            texts[agreement.guideline] = _checked(agreement, directory, texts.get(agreement.guideline))
        except ValueError as problem:
            line = line_of(key_lines(text.removeprefix("\ufeff")), ("agreement", index, "guideline"))
            key = f"agreement[{index}].guideline"
            raise ProfileInvalid(file=file, line=line, key=key, reason=str(problem)) from problem
    new = {path: each for path, each in texts.items() if path not in dict(partner.guidelines)}
    if not new:
        return profile
    complete = with_guidelines(text, new)
    return read_profile(complete, file), complete, file


def ready(settings: Settings, profiles: Sequence[Profile]) -> list[Profile]:
    """Profiles as they can be applied: with the guidelines that they name; none claims what another does, or we do.

    Raises:
        ProfileInvalid, GuidelineInvalid: see ``with_guideline_files``.
        ProfileOverlap: two of them claim the same, or one claims an identity of ours.
    """
    complete = [with_guideline_files(each, settings.partners_directory) for each in profiles]
    ours = [Identity.of(qualifier, id_) for qualifier, id_ in settings.identities]
    for overlap in overlaps([partner for partner, _, _ in complete], ours):
        raise overlap
    return complete


def _checked(agreement: Agreement, directory: Path, kept: str | None) -> str:
    """The text of an agreement's guideline, from its file or the copy.

    Raises:
        ValueError: it cannot be had, or is not for this agreement.
        GuidelineInvalid: it is wrong in itself.
    """
    path = agreement.guideline
    there = (directory / path).is_file()
    if kept is None and not there:
        raise ValueError(f"there is no file {directory / path}")
    text = read_guideline_file(directory / path, path) if there else kept or ""
    if kept is not None and text != kept:
        raise ValueError(
            f"{directory / path} differs from the copy below [guidelines]; "
            "remove that table to take the file, or the file to take the copy"
        )
    guideline = read_partner_guideline(text, path)
    if "*" not in agreement.sets and guideline.set_id not in agreement.sets:
        raise ValueError(f"{path} is for {guideline.set_id}, the agreement for {', '.join(agreement.sets)}")
    return text


def read_guideline_file(path: Path, name: str = "") -> str:
    """The text of a guideline file; line ends become LF.

    Raises:
        GuidelineInvalid: the file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as problem:
        reason, line = "this is not UTF-8 text", problem.object.count(b"\n", 0, problem.start) + 1
    except OSError as problem:
        reason, line = f"cannot be read: {problem.strerror}", 1
    raise GuidelineInvalid(file=name or path.name, line=line, key="(file)", reason=reason)
