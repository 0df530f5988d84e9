"""Faults of backups of the ledger: made, checked, put back."""

from __future__ import annotations

from gateway.errors.base import Side
from gateway.errors.hosts import Unavailable
from gateway.errors.received import MessageFault
from gateway.errors.requests import UsageFault
from gateway.errors.setup import ConfigurationFault


class BackupFailed(Unavailable):
    code = "backup.failed"
    sentence = "No backup was made at {path}: {reason}"
    advice = "Nothing was left there that looks like a backup. Correct the cause, then `gateway ledger backup`."
    side = Side.OURS


class BackupExists(UsageFault):
    code = "backup.exists"
    sentence = "There is something at {path} already; nothing was changed."
    advice = "Name another place, or say --overwrite where an earlier backup may go."


class BackupDamaged(Unavailable):
    code = "backup.damaged"
    sentence = "The backup {path} is not what was written: {reason}"
    advice = "Do not rely on it: take another one, and make a new one with `gateway ledger backup`."
    side = Side.OURS
    permanent = True


class BackupUnfit(ConfigurationFault):
    code = "backup.unfit"
    sentence = "The backup {path} cannot be restored here: {reason}"
    advice = "Nothing was changed. docs/backup.md tells what a restore needs."


class RestoreFailed(Unavailable):
    code = "restore.failed"
    sentence = "The backup {path} was not restored: {reason}"
    advice = "The ledger is what it was. Correct the cause, then `gateway ledger restore` again."
    side = Side.OURS


class LedgerNewer(ConfigurationFault):
    code = "ledger.newer"
    sentence = "The home has a ledger that is not known to be older than the backup {path}: {reason}"
    advice = "Nothing was changed. With --replace it is put aside, never deleted, and the backup takes its place."


class FileInTheWay(ConfigurationFault):
    code = "restore.file-in-the-way"
    sentence = "{path} is not what the backup holds."
    advice = "Nothing was changed. With --replace it is kept under another name, and the backup's takes its place."


class ProgramMissing(ConfigurationFault):
    code = "program.missing"
    sentence = "{program} is needed to {purpose}, and is not on the PATH."
    advice = "Install PostgreSQL's client programs in the version of the server, or a newer one."


class ProgramTooOld(ConfigurationFault):
    code = "program.too-old"
    sentence = "{program} is of version {found}; to {purpose} {wanted} or newer is needed."
    advice = "Install PostgreSQL's client programs in that version; an older one cannot do it rightly."


class RestoredUnprocessed(MessageFault):
    code = "message.restored"
    sentence = "An older ledger was put back, in which this message waits; it may have been processed since."
    advice = (
        "Ask the business whether it has its documents. If not, `gateway quarantine release` processes it; if it has,"
        " `gateway quarantine discard` puts it aside."
    )
    side = Side.OURS
