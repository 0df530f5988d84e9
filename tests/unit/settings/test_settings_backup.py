"""[backup] in gateway.toml: absent, whole, or told what is missing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import SettingsInvalid
from gateway.settings import BackupSettings, parse_settings

BEGIN = '[gateway]\nname = "Ours"\ndomain = "ours.example"\nidentities = ["ZZ:OURS"]\n'


def read(text: str) -> BackupSettings:
    return parse_settings((BEGIN + text).encode(), home=Path("/srv/edi")).backup


def test_without_the_table_no_backup_is_made():
    assert read("") == BackupSettings()
    assert read("").directory is None


def test_a_relative_directory_lies_in_the_home():
    assert read('[backup]\ndirectory = "kept"').directory == Path("/srv/edi/kept")


def test_all_of_it():
    written = '[backup]\ndirectory = "/mnt/b"\nevery = "6h"\nkeep = 30\nwith_home = true'
    assert read(written) == BackupSettings(Path("/mnt/b"), timedelta(hours=6), 30, True)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[backup]\nkeep = 3", "backup.directory"),
        ('[backup]\ndirectory = "x"\nkeep = 0', "backup.keep"),
        ('[backup]\ndirectory = "x"\nevery = "1s"', "backup.every"),
        ('[backup]\ndirectory = "x"\nwith_key = true', "backup.with_key"),
    ],
)
def test_what_is_wrong_is_named(text, key):
    with pytest.raises(SettingsInvalid) as caught:
        read(text)
    assert caught.value.details["key"] == key
