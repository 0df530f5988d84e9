"""``gateway ledger``: search, show and export the record of every exchange."""

from __future__ import annotations

import click

from gateway.cli.ledger_archive import archive
from gateway.cli.ledger_backup import backup
from gateway.cli.ledger_backup_restore import restore
from gateway.cli.ledger_changes import changes
from gateway.cli.ledger_export import export
from gateway.cli.ledger_follow import follow
from gateway.cli.ledger_hold import hold
from gateway.cli.ledger_keys import encrypt, forget_key
from gateway.cli.ledger_query import query
from gateway.cli.ledger_reindex import reindex
from gateway.cli.ledger_report import report
from gateway.cli.ledger_restore import accept_restore
from gateway.cli.ledger_retain import retain
from gateway.cli.ledger_seal import proof, seal, verify
from gateway.cli.ledger_search import search
from gateway.cli.ledger_show import show


@click.group("ledger")
def command() -> None:
    """The record of every exchange: search, show, export; accept-restore after an older one was put back."""


command.add_command(search)
command.add_command(export)
command.add_command(query)
command.add_command(reindex)
command.add_command(backup)
command.add_command(restore)
command.add_command(accept_restore)
command.add_command(seal)
command.add_command(verify)
command.add_command(proof)
command.add_command(show)
command.add_command(follow)
for _each in (retain, hold, archive, forget_key, encrypt):
    command.add_command(_each)
command.add_command(changes)
command.add_command(report)
