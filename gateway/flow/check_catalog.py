"""Everything that ``gateway doctor`` can find: its stable code, what it is, and what to do.

``docs/reference/doctor.md`` is written from this table. Where a check ends with a fault its code is the fault's; those
that have a page of their own in the faults' reference are named here too where the doctor looks for them.
"""

# ruff: noqa: E501 - a row of the table is a line
from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Entry(Struct, frozen=True):
    """What a code stands for. ``finds`` is what was found, ``advice`` what to do."""

    finds: str
    advice: str


def _entries(*rows: tuple[str, str, str]) -> dict[str, Entry]:
    return {code: Entry(finds, advice) for code, finds, advice in rows}


SECTIONS: Mapping[str, Mapping[str, Entry]] = {
    "The machine and the home": _entries(
        ("home.open", "everybody may write to the home", "`chmod o-w` the home"),
        ("home.not-writable", "the home is not writable for this user", "run as the gateway's own user"),
        ("home.other-owner", "what a batch writes belongs to another user, as after a command that root ran", "`chown` it back, and run commands as the gateway's own user"),
        ("home.differs", "another company's home works on the same ledger", "give each company a database of its own"),
        ("home.no-key", "there is no secret.key", "restore it from a backup; else set all secrets again"),
        ("configuration", "settings or the key file cannot be used; others may read the key file", "do as the sentence says"),
        ("home.missing", "there is no gateway.toml", "`gateway init --home DIR`"),
        ("settings.invalid", "gateway.toml has a wrong line", "correct the line that is named"),
        ("settings.readable", "everybody may read a gateway.toml that holds a password or a webhook's address", "`chmod o=` it"),
        ("identity.placeholder", "our identity is the one that a new home begins with", "set identities in gateway.toml"),
        ("domain.placeholder", "our domain is the one that a new home begins with", "set domain in gateway.toml"),
        ("clock.wrong", "the clock is before the time in which this program was written", "set it, and run a time service"),
        ("clock.went-back", "the newest event is in the future", "correct the clock"),
        ("clock.differs", "the clock of the database server is another one", "run a time service on both machines"),
        ("clock.unknown-zone", "the time zone of this process (TZ) is not known", "correct TZ, or install tzdata"),
        ("lock.long-held", "one command has been at work on the home for half a day", "look at it; stop it with SIGTERM"),
        ("disk.little", "less than 1 GB is left", "make room"),
        ("disk.too-little", "less than 100 MB are left: nothing is collected", "make room"),
        ("directory.missing", "inbox or outbox is not there", "`mkdir -p` it"),
        ("directory.not-writable", "inbox or outbox is not writable", "correct its owner or mode"),
        ("file.not-writable", "the file of the metrics, the log or the seals cannot be written", "correct its path or owner"),
        ("not-checked", "the system refused to let us look", "look at the file or host that is named"),
    ),
    "The database and the ledger": _entries(
        ("database.unavailable", "the database does not answer", "look whether it runs, and at `[database] url`"),
        ("database.migrations-behind", "the database is older than this gateway", "back it up, then `gateway init --upgrade`"),
        ("database.empty", "there is no ledger in the database", "look for it, or restore a backup; for a new gateway `gateway init --upgrade`"),
        ("database.newer", "a newer gateway wrote the database", "install that gateway again, or restore a backup"),
        ("database.readable", "everybody may read the ledger's file", "`chmod o=` it"),
        ("database.network-disk", "the SQLite ledger is on a network file system", "put it on a local disk, or use PostgreSQL"),
        ("database.encoding", "the database is not in UTF8, and cannot hold every text", "make one in UTF8, and restore a backup into it"),
        ("database.no-trigrams", "SQLite or PostgreSQL lacks the index of trigrams", "newer SQLite; `CREATE EXTENSION pg_trgm`, then `gateway ledger reindex`"),
        ("database.rest", "what is kept in the database was not checked", "repair the database first"),
        ("ledger.behind", "an older ledger was put in the place of this home's", "put the newest back, or `gateway ledger accept-restore`"),
        ("ledger.damaged", "a page, reference or kept byte is not as written (with `--ledger`)", "put a whole backup in its place"),
        ("backup.none", "the gateway makes no backup", "add `[backup]`, or run `gateway ledger backup`"),
        ("backup.late", "the newest backup is too old, or the last one failed", "`gateway ledger backup`"),
        ("backup.same-disk", "backups lie on the disk of the home", "keep them on another one"),
        ("seal.never", "the ledger was never sealed", "`gateway ledger seal`"),
        ("seal.late", "the last seal is older than the settings want", "`gateway ledger seal`"),
        ("night.never", "no batch has run yet, although there are partners", "`gateway night`; a timer, or `gateway serve`"),
        ("night.late", "the last batch ran long ago", "look at the timer or service; `gateway night`"),
        ("night.interrupted", "the last batch did not end", "`gateway night` goes on"),
    ),
    "Secrets and logins": _entries(
        ("secret.missing", "a secret that the settings or a profile name is not there", "`gateway secret set NAME`"),
        ("secret.unreadable", "a secret cannot be decrypted with this key", "restore the key, or set the secret again"),
        ("tls.broken-version", "TLS 1.0 or 1.1 is allowed", "take tls_minimum out"),
        ("oauth.no-expiry", "nobody knows when a client secret ends", "set secret_expires"),
        ("oauth.ends-soon", "a client secret or certificate ends soon", "make a new one, `gateway secret set`"),
        ("oauth.ended", "a client secret or certificate has ended", "make a new one, `gateway secret set`"),
    ),
    "Hosts (not with `--offline`)": _entries(
        ("host.unknown", "the host's name is not known", "correct host; look at the name servers"),
        ("host.refused", "nothing listens at that port", "correct port; ask who runs the host"),
        ("host.silent", "the host does not answer", "look for a firewall"),
        ("host.unreachable", "there is no way to the host", "look at the network"),
        ("host.tls-port", "the port wants TLS from the first byte, the settings do not", '`security = "tls"`, or the other port'),
        ("host.plain-port", "the settings want TLS from the first byte, the port does not", '`security = "starttls"`, or the other port'),
        ("host.other-protocol", "another protocol is spoken at that port", "correct port"),
        ("host.no-starttls", "the host does not offer STARTTLS", '`security = "tls"`'),
        ("host.in-clear", "the connection is not encrypted", '`security = "tls"` or `"starttls"`'),
        ("tls.expired", "the host's certificate has ended", "ask who runs the host"),
        ("tls.ends-soon", "the host's certificate ends within two weeks", "ask whether it is renewed in time"),
        ("tls.not-yet-valid", "the host's certificate is not valid yet, by our clock", "look at the clock"),
        ("tls.wrong-host", "the host's certificate is for another name", "write that name as host"),
        ("tls.self-signed", "the host's certificate is signed by itself", "name it with ca_file, if it is yours"),
        ("tls.unknown-authority", "nobody that we trust signed the host's certificate", "name its authority with ca_file, if it is yours"),
        ("tls.ca-file", "the ca_file cannot be read, or holds no certificate", "correct ca_file"),
        ("tls.too-old", "the host speaks only old TLS", "ask who runs the host for TLS 1.2"),
        ("tls.failed", "TLS did not work for another reason", "look at the host"),
        ("mail.login-refused", "user or password is wrong", "`gateway secret set`"),
        ("mail.insecure", "the connection is not safe", "correct host, certificate or ca_file"),
        ("mailbox.unavailable", "the mailbox cannot be read: its folder is not there, or the host says why", "do as the sentence says"),
        ("smtp.unavailable", "the SMTP host does not take mail now", "look at what it said"),
        ("mailbox.none", "there is no mailbox to collect from", "add a `[mailbox.NAME]`"),
        ("mailbox.twice", "two mailboxes read one account", "leave one of them"),
        ("mailbox.shared", "mails that we left on the server are gone: another gateway, or a client, reads the mailbox too", "give the gateway a mailbox of its own"),
        ("mailbox.large", "a message there is above the limit", "look at it; raise `limits.message_size`"),
        ("mailbox.no-uidl", "the server does not number its messages for good", "it works, more slowly"),
        ("mailbox.read-only", "the IMAP folder may only be read", "ask for more rights, or `keep_on_server = true`"),
        ("mailbox.no-uidplus", "the IMAP server can only expunge everything at once", "give the gateway a folder of its own"),
        ("mailbox.no-idle", "`idle` is set, but the server has no IDLE", "it is asked every minute"),
        ("smtp.none", "there is no host to send through", "add `[smtp]`"),
        ("smtp.no-login", "port 587 is used without a login", "set user in `[smtp]`"),
        ("smtp.sender-refused", "the host takes no mail from our sender", "set sender to an address of the account"),
        ("smtp.placeholder-sender", "our sender is at a name for examples", "set sender"),
        ("smtp.verp", "each mail goes from an address of its own", "try it once"),
        ("smtp.microsoft-limits", "more connections or mails a minute than Microsoft 365 takes", "`connections = 3`, `rate = 30`"),
        ("dns.unavailable", "the name servers do not answer", "look at them"),
        ("dns.no-mx", "no host takes mail for our sender's domain", "add an MX record"),
        ("dns.no-spf", "our sender's domain has no, or more than one, SPF record", "publish one"),
        ("hook.unreachable", "nothing listens where a webhook or delivery posts to", "correct the address"),
    ),
    "Alerts": _entries(
        ("alerts.none", "no rule tells anybody of what needs a person", "add an `[[alert]]`"),
        ("alerts.mail-only", "all rules need the host that may be away", "add one with a webhook or command"),
        ("alerts.unknown-partner", "a rule names a partner that is not there", "correct partners in the rule"),
        ("alerts.no-program", "the program of a rule is not there", "correct command in the rule"),
        ("alerts.failing", "a rule could not tell anybody the last time", "`gateway alert test NAME`"),
    ),
    "Partners and agreements": _entries(
        ("partners.none", "there is no trading partner", "`gateway partner apply FILE`"),
        ("profile.overlap", "two partners, or a partner and we, have one address or identity", "correct one of the profiles"),
        ("partner.incomplete", "a partner has no address, identity or agreement", "complete the profile"),
        ("partner.our-address", "a partner's address is our own: mail would run in circles", "correct addresses"),
        ("partner.unknown-zone", "the time zone of its calendar is not known here", "correct time_zone, or update tzdata"),
        ("partner.stopped-waiting", "documents wait for a partner that is suspended, ended or a draft; or, in earnest, for one in testing", "`gateway partner activate`, or cancel them"),
        ("agreement.no-deadline", "an acknowledgment is wanted, but no time is given for it", "set within"),
        ("agreement.test-indicator", "the partner is live, but what we send is marked as a test", '`usage = "P"`'),
        ("agreement.no-guideline", "a guideline is named that is not kept with the profile", "apply the profile with the file beside it"),
        ("agreement.kept-too-short", "what is sent is put away before its acknowledgment is overdue", "longer retention, shorter within"),
        ("outbox.left", "documents lie in a directory that was the outbox before: nobody sends them", "move them into the outbox of today"),
        ("outbox.nobody", "a directory in the outbox belongs to no partner", "rename it, or apply the profile"),
        ("delivery.no-program", "the program that documents are delivered to is not there", "correct the profile"),
        ("delivery.not-writable", "the directory that documents are delivered to is not writable, or cannot be made", "correct owner or mode"),
        ("proof.address-only", "partners are known by their address alone", "set evidence in the profile"),
        ("proof.no-exchanger", "the mail exchanger whose word proves partners is not named", "set `[proof] authserv_ids`"),
        ("proof.no-dkim", "DKIM is to prove partners, but is never verified", "take `dkim` out of `[proof]`"),
        ("proof.unnamed", "statements on senders count that name nobody", "name your mail exchanger"),
        ("key.missing", "we have no key to sign with, or that partners can encrypt for", "`gateway key generate`"),
        ("key.unusable", "a key of ours cannot be used", "import it again, or generate another"),
        ("certificate.missing", "a partner has no certificate that is valid and trusted", "`gateway partner certificate add`"),
        ("certificate.unconfirmed", "a partner's certificate waits for somebody to compare its fingerprint", "`gateway partner certificate trust`"),
        ("certificate.state-unknown", "somebody wrote a state of a certificate past the gateway", "`gateway ledger verify --full`, then trust or retire it"),
        ("certificate.ends-soon", "a certificate or key ends within 60 days", "ask for the next one; `gateway key generate`"),
        ("certificate.ended", "a certificate or key has ended", "ask for the next one; `gateway key generate`"),
    ),
}  # fmt: skip

CATALOG: Mapping[str, Entry] = {code: entry for section in SECTIONS.values() for code, entry in section.items()}
