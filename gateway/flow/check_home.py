"""Checks of the home: who may write and read there, its key, its settings, its directories, the clock and the disk."""

from __future__ import annotations

import os
import pwd
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from gateway.flow.check_result import UNAVAILABLE, Check
from gateway.ledger.secrets import read_key
from gateway.settings import FILE_NAME, Settings
from gateway.settings.template import PLACEHOLDER_DOMAIN, PLACEHOLDER_IDENTITY

_OWNED = ("ledger.db", "secret.key", "")  # whose the gateway is: the first of them that is there
_WRITTEN = (
    ".lock",
    ".serving",
    ".checkpoint",
    ".bell",
    "tokens.lock",
    "seals.txt",
    "ledger.db",
    "ledger.db-wal",
    "ledger.db-shm",
)
LITTLE_SPACE, TOO_LITTLE_SPACE = 1_000_000_000, 100_000_000  # bytes
EPOCH_OF_THIS_PROGRAM = 1_735_689_600  # 2025-01-01, seconds: no honest clock is behind it


def check_home(home: Path) -> Iterator[Check]:
    """The home is ours: writable for us, and for nobody else."""
    mode = home.stat().st_mode
    if mode & 0o002:
        advice = f"Run `chmod o-w {home}`: who may write here decides what this gateway does."
        yield Check("home", False, f"Everybody may write to {home}.", advice, code="home.open")
    elif not os.access(home, os.W_OK | os.X_OK):
        yield Check(
            "home",
            False,
            f"{home} is not writable for this user.",
            "Run as the gateway's own user.",
            code="home.not-writable",
        )
    else:
        yield Check("home", True, f"{home} is in order.")


def check_owners(settings: Settings) -> Iterator[Check]:
    """What a batch writes in the home is one user's, and ours to write: a command run as root leaves files of root."""
    home = settings.home
    owner = next(each for name in _OWNED if (each := home / name).exists()).stat().st_uid
    files = [each for name in _WRITTEN if (each := home / name).exists()]
    tops = [each for each in (settings.inbox, settings.outbox) if each.is_dir()]
    places = [each for top in tops for each in top.iterdir() if each.is_dir()]
    shut = [each for each in (*files, *places) if not os.access(each, os.W_OK)]
    foreign = sorted(shut or [each for each in files if each.stat().st_uid != owner])
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        which = f"{', '.join(map(str, foreign[:3]))}{more}"
        said = f"This user may not write to {which}." if shut else f"The gateway is {_name(owner)}'s, but not {which}."
        advice = f"Run `chown -R {_name(owner)} {home}`, and every command on this home as {_name(owner)}."
        yield Check("owner", False if shut else None, said, advice, code="home.other-owner")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def check_key(path: Path) -> Iterator[Check]:
    """The key of the secrets is there, a key, and nobody else's to read."""
    try:
        read_key(path)
    except FileNotFoundError:
        yield Check(
            "key",
            False,
            f"There is no key at {path}.",
            "Restore it from a backup; else set all secrets again.",
            code="home.no-key",
        )
    else:
        yield Check("key", True, f"{path} is a key, and its owner's only.")


def check_settings(settings: Settings) -> Iterator[Check]:
    """Who we are is ours, and not what a new home begins with."""
    ours = ", ".join(":".join(each) for each in settings.identities)
    if PLACEHOLDER_IDENTITY in {":".join(each) for each in settings.identities}:
        advice = "Put your own in gateway.toml (identities) before you trade."
        yield Check(
            "identities",
            None,
            f"{PLACEHOLDER_IDENTITY} is a placeholder, not your EDI identity.",
            advice,
            code="identity.placeholder",
        )
    else:
        yield Check("identities", True, f"We are {settings.name} ({ours}).")
    if settings.domain == PLACEHOLDER_DOMAIN:
        advice = "Put your own in gateway.toml (domain): Message-IDs must be unique in the world."
        yield Check(
            "domain",
            None,
            f"{PLACEHOLDER_DOMAIN} is a placeholder, not your domain.",
            advice,
            code="domain.placeholder",
        )


def check_settings_file(settings: Settings) -> Iterator[Check]:
    """Nobody else may read a gateway.toml that holds what should stay secret."""
    file = settings.home / FILE_NAME
    held = [
        *(["the password of the database"] if _has_password(settings.database_url) else []),
        *(f"the address of the webhook of {each.name}" for each in settings.alerts if _may_be_secret(each.webhook)),
    ]
    if held and file.stat().st_mode & 0o004:
        said = f"Everybody may read {file}, and it holds {' and '.join(held)}."
        yield Check("settings", False, said, f"Run `chmod o= {file}`.", code="settings.readable")


def _has_password(url: str) -> bool:
    password = urlsplit(url).password
    return bool(password) and password not in {"{password}", "%7Bpassword%7D"}


def _may_be_secret(webhook: str) -> bool:
    """Chat systems give addresses that let everybody write who knows them."""
    parts = urlsplit(webhook)
    return bool(parts.query) or any(len(each) >= 16 for each in parts.path.split("/"))


def check_files(settings: Settings) -> Iterator[Check]:
    """Files that a batch writes beside the ledger can be written: figures, log, seals."""
    wanted = (
        ("metrics_file in [gateway]", settings.metrics_file),
        ("file in [log]", settings.log.file if settings.log else None),
        ("file in [seal]", settings.seal.file),
    )
    for name, file in wanted:
        if file is None:
            continue
        there = next(each for each in (file, *file.parents) if each.exists())
        if there.is_dir() == (there == file) or not os.access(there, os.W_OK):
            said = f"{file} ({name}) cannot be written: {there} is in the way, or not ours to write to."
            yield Check("files", False, said, f"Correct {name}, or the owner of {there}.", code="file.not-writable")


def check_clock(now: float) -> Iterator[Check]:
    """The clock is not before this program was written. ``now``: seconds since 1970 UTC."""
    said = time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(now))
    if now < EPOCH_OF_THIS_PROGRAM:
        advice = "Set the clock and run a time service: every record carries the time."
        yield Check("clock", False, f"The clock says {said}, which cannot be.", advice, code="clock.wrong")
    else:
        yield Check("clock", True, f"The clock says {said}.")


def check_disk(settings: Settings) -> Iterator[Check]:
    """There is room for what comes in, where it is written to."""
    for place in _places(settings):
        free = shutil.disk_usage(place).free
        room = f"{place} has {free / 1e9:.1f} GB left."
        advice = "Make room: without it nothing is collected, and mails stay on their servers."
        if free < TOO_LITTLE_SPACE:
            yield Check("disk", False, room, advice, UNAVAILABLE, "disk.too-little")
        else:
            little = free < LITTLE_SPACE
            yield Check("disk", None if little else True, room, advice * little, code="disk.little" * little)


def _places(settings: Settings) -> list[Path]:
    """The home, and the inbox where it is on another file system."""
    there = [each for each in (settings.home, settings.inbox) if each.is_dir()]
    by_device = {each.stat().st_dev: each for each in reversed(there)}
    return sorted(by_device.values())


def check_directories(settings: Settings) -> Iterator[Check]:
    """Inbox and outbox are there and writable."""
    for name, place in (("inbox", settings.inbox), ("outbox", settings.outbox)):
        if not place.is_dir():
            yield Check(
                name, False, f"{place} is not there.", f"Make it with `mkdir -p {place}`.", code="directory.missing"
            )
        elif not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            yield Check(
                name,
                False,
                f"{place} is not writable for this user.",
                "Correct its owner or mode.",
                code="directory.not-writable",
            )
        else:
            yield Check(name, True, f"{place} is writable.")
