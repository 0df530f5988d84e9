"""An example for every command: of those whose own help shows none, here.

Kept in one place so that a test can walk them all: every command has one, and every one names a command and options
that exist.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Mapping

import click

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "init": ('init --name "Example Co" --domain edi.example.com --identity ZZ:EXAMPLECO', "init --upgrade"),
    "demo": ("demo --keep /tmp/demo",),
    "partner apply": ("partner apply partners/acme.toml --dry-run", "partner apply partners"),
    "partner certificate add": ("partner certificate add acme acme.pem",),
    "partner certificate learn": ("partner certificate learn acme m17",),
    "partner certificate list": ("partner certificate list acme",),
    "partner certificate retire": ("partner certificate retire acme --fingerprint 3f9a",),
    "partner certificate show": ("partner certificate show acme",),
    "partner certificate trust": ("partner certificate trust acme --fingerprint 3f9a",),
    "partner expected show": ("partner expected show acme",),
    "partner export": ("partner export acme > acme.toml", "partner export --to profiles"),
    "partner list": ("partner list --json",),
    "partner numbers show": ("partner numbers show acme --all",),
    "partner revisions": ("partner revisions acme",),
    "partner show": ("partner show acme", "partner show acme --revision 2"),
    "mailbox authorize": ("mailbox authorize microsoft --browser",),
    "mailbox list": ("mailbox list",),
    "mailbox test": ("mailbox test orders",),
    "secret list": ("secret list",),
    "secret remove": ("secret remove mailbox.old",),
    "secret set": ("secret set mailbox.orders", "secret set oauth.google --file service-account.json"),
    "key export": ("key export edi-2026 --form p7c --to ours.p7c",),
    "key generate": ("key generate --name edi-2026 --days 730 --address edi@example.com",),
    "key import": ("key import ours.p12 --name edi-2026",),
    "key list": ("key list",),
    "key retire": ("key retire edi-2023",),
    "key show": ("key show edi-2026",),
    "serve": ("serve", "serve --once"),
    "user disable": ("user disable bob",),
    "user enable": ("user enable bob",),
    "user list": ("user list",),
    "user remove": ("user remove bob",),
    "token list": ("token list",),
    "status": ("status", "status --json"),
    "alert close": ('alert close 7 --why "the host is back"',),
    "alert list": ("alert list --partner acme",),
    "alert mute": ('alert mute 7 8 --why "known; acme repairs it on Monday"',),
    "alert show": ("alert show 7",),
    "alert test": ("alert test ops",),
    "ledger accept-restore": ('ledger accept-restore --reason "the disk was lost; this is last night\'s backup"',),
    "ledger archive list": ("ledger archive list",),
    "ledger archive restore": ('ledger archive restore archives/2019-04.db --why "dispute 12" partner=acme',),
    "ledger archive verify": ("ledger archive verify archives/2019-04.db",),
    "ledger changes": ("ledger changes --partner acme --limit 20",),
    "ledger encrypt": ("ledger encrypt clinic --dry-run",),
    "ledger hold add": ('ledger hold add partner=acme on=2026-10 --why "dispute 12"',),
    "ledger hold list": ("ledger hold list --all",),
    "ledger hold release": ('ledger hold release 3 --why "dispute 12 is settled"',),
    "ledger proof": ("ledger proof 34 --to proof-34.json",),
    "ledger query delete": ("ledger query delete open-orders",),
    "ledger query list": ("ledger query list",),
    "ledger query save": ("ledger query save open-orders type=850 unacknowledged",),
    "ledger query show": ("ledger query show open-orders",),
    "ledger reindex": ("ledger reindex",),
    "ledger report recount": ("ledger report recount --dry-run",),
    "ledger seal": ("ledger seal", "ledger seal --key"),
    "ledger show": ("ledger show 34 --tree", "ledger show m12 --raw"),
    "ledger verify": ("ledger verify", "ledger verify --full --seals seals.txt"),
    "ack list": ("ack list --partner acme",),
    "ack overdue": ("ack overdue --json",),
    "quarantine discard": ('quarantine discard m12 m13 --why "advertising"',),
    "quarantine list": ("quarantine list",),
    "quarantine release": ('quarantine release m12 --why "the profile has the address now"',),
    "quarantine show": ("quarantine show m12",),
    "exchange accept": ('exchange accept 34 --why "acme began its numbers anew"',),
    "exchange cancel": ('exchange cancel 34 --why "wrong price"',),
    "exchange proof": ("exchange proof 34 --to proof-34.zip",),
    "exchange redeliver": ('exchange redeliver 34 --why "the ERP lost it"',),
    "exchange replay": ('exchange replay m12 --why "the profile was wrong" --dry-run',),
    "exchange resend": ('exchange resend 34 --why "acme lost it"', 'exchange resend 34 --new-number --why "acme asks"'),
    "exchange resolve": ('exchange resolve 34 sent --why "acme has it"',),
    "exchange settle": ('exchange settle 34 --why "agreed by telephone"',),
    "exchange show": ("exchange show 34",),
    "x12 ack": ("x12 ack orders.edi --kind 997",),
    "x12 check": ("x12 check orders.edi", "x12 check *.edi --json"),
    "x12 generate": ("x12 generate 850 --version 004010",),
    "x12 sets": ("x12 sets --version 005010",),
    "x12 show": ("x12 show orders.edi --elements",),
    "completion": ("completion bash > ~/.local/share/bash-completion/completions/gateway",),
}

_BARE = re.compile(r"\x08\n(?=\s*gateway )")  # lines of examples in a help that does not call them so


def add(name: str, command: click.Command) -> click.Command:
    """Gives a command, and all below it, the examples that it lacks.

    Args:
        name: its words without ``gateway``.
        command: loaded.

    Returns:
        the command; a copy of one that may stand at two places, under two names.
    """
    if isinstance(command, click.Group):
        for below, each in list(command.commands.items()):
            command.commands[below] = add(f"{name} {below}", each)
        return command
    said = inspect.cleandoc(command.help or "")
    shown = re.search(rf"gateway (?:--home \S+ )?{name}\b", said) is not None
    if (shown and "Example" in said) or command.epilog:
        return command
    found = copy.copy(command)
    if shown and _BARE.search(said):
        found.help = _BARE.sub("\x08\nExamples:\n", said, count=1)
    elif name in EXAMPLES:
        lines = EXAMPLES[name]
        title = "Example:" if len(lines) == 1 else "Examples:"
        found.epilog = "\n".join(["\x08", title, *(f"  gateway {line}" for line in lines)])
    return found
