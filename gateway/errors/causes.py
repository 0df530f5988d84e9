"""Why each fault comes to be: what is usually behind it, for the reference and for whoever asks about a code.

The sentence of a fault says what is wrong, its advice what to do next; the cause is what people want to know in
between. A fault without an entry of its own has that of the branch it belongs to.
"""

# ruff: noqa: E501 - a row of the table is a line
from __future__ import annotations

from collections.abc import Mapping

from gateway.errors.base import GatewayError

CAUSES: Mapping[str, str] = {
    "gateway.error": "Something that has no name of its own yet.",
    "unexpected": "A defect of the gateway, or a system that behaves as nobody foresaw: the exception behind it is named.",
    # hosts and databases
    "unavailable": "A host, database or service that we need is down, busy, or cannot be reached from here.",
    "mailbox.unavailable": "The mail host is down or cannot be reached, the folder is not there, or the host had a passing fault of its own.",
    "mailbox.busy": "A mail client, or another gateway, has the mailbox open; POP3 lets one session in at a time.",
    "mailbox.message-not-given": "The server lists the message but cannot read it: its storage is damaged, or a filter holds it back.",
    "mail.login-refused": "The password was changed or mistyped, the account was locked, or the provider wants OAuth2 or an app password.",
    "mail.token-not-taken": "The token is good, but not for this account or protocol: a permission is missing, or the mailbox forbids the protocol.",
    "mail.insecure": "The certificate has ended, is for another name, or is signed by nobody we trust; or somebody stands between us and the host.",
    "smtp.unavailable": "The SMTP host is down, cannot be reached, or has closed for maintenance.",
    "smtp.crowded": "The provider allows fewer connections at once than the settings open.",
    "smtp.interrupted": "The network broke, the host restarted, or something on the way does not like the mail.",
    "dns.unavailable": "The name servers of this machine do not answer, or a firewall keeps questions from them.",
    "database.unavailable": "The database server is down, the password is wrong, the disk is full, or the file belongs to somebody else.",
    "database.disk-failed": "The disk reports an error, is not mounted any more, or is full at the wrong moment.",
    "database.conflict": "Two processes decided about the same rows at once; PostgreSQL undid one of them.",
    "checkpoint.unwritable": "The home is on a full or read-only disk, or belongs to another user.",
    "output.unwritable": "The file or device that the output goes to is full, or went away.",
    "delivery.failed": "The directory is full or not ours, or the program or web service that takes documents failed.",
    "alert.not-told": "The mail host, the webhook or the program of the rule did not work.",
    "oauth.refused": "The client secret has ended, the permission was taken back, or the account does not exist any more.",
    "oauth.unavailable": "The provider has an outage, or a proxy or firewall stands between.",
    "backup.failed": "The directory of backups is full, not mounted or not writable, or the program that dumps the database failed.",
    "backup.damaged": "A file of the backup was changed, cut short or lost since it was made.",
    "restore.failed": "There was no room, or the database refused what the backup holds.",
    "seal.unwritable": "The file of seals is on a disk that is full, not mounted or not writable.",
    "console.cannot-listen": "Another program has that port, or the address is not this machine's.",
    "console.out-of-order": "The database is down or cannot be reached, or gateway.toml, a secret or a certificate is not as it should be.",
    "sign-in.provider-unavailable": "The sign-in provider has an outage, or is not reached from here.",
    "moved-archive.unwritable": "The directory for archives is full, not mounted or not writable.",
    "try-again-later": "Somebody else is at work on the same thing.",
    "home.in-use": "A batch, a service or another command is at work on this home.",
    "lease.lost": "This process slept longer than its lease: the machine was overloaded or suspended, and another took over.",
    "content.still-in-files": "An export, a report, a backup or another program has had the database open for reading since before: the database keeps for it what it may still look at.",
    # sending
    "sending": "The mail host did not take a mail.",
    "sending.deferred": "The host is busy, limits how many mails it takes, or greylists: it says itself that trying again helps.",
    "sending.given-up": "Each attempt failed for hours or days; the last answer is quoted.",
    "sending.refused": "The address does not exist, or the host or the partner's mail system forbids the mail for good.",
    "sending.in-doubt": "The connection broke in the one moment in which nobody can know: after the mail was given, before the host's answer came.",
    # configuration
    "configuration": "Settings, a profile or a file of the home do not say what the gateway needs.",
    "home.missing": "The command was run in another directory, or --home or GATEWAY_HOME names the wrong one.",
    "home.exists": "The home was made before.",
    "settings.invalid": "A key is misspelt, missing or has a value that is not allowed.",
    "settings.ca-file": "The file was moved, renewed under another name, or may not be read by whoever runs the gateway.",
    "profile.invalid": "A key of the profile is misspelt, missing or has a value that is not allowed.",
    "guideline.invalid": "A key of the guideline is misspelt, missing or has a value that is not allowed.",
    "profile.overlap": "One address or identity was written into two profiles, often by copying one.",
    "secret.not-outside": "It was not given to this process; the environment of a service may differ from yours.",
    "secret.missing": "It was never stored, or under another name; the environment of a service may differ from yours.",
    "secret.unreadable": "The file secret.key is another one than the secret was stored with: it was replaced, or the database came from another home.",
    "certificate.unreadable": "The file is a key, a request, or in a form that holds no certificate; or it was cut short.",
    "certificate.missing": "The partner's certificate has ended, was never trusted, or serves for something else.",
    "key.missing": "No key was made or imported, or the one that was meant has ended or was retired.",
    "key.unusable": "Its private half cannot be decrypted with secret.key, or its algorithm does not fit.",
    "partner.unknown": "The key is misspelt, or its profile was never applied.",
    "agreement.missing": "The transaction set, or its version, is in no agreement of the partner for that direction.",
    "database.encoding": "The server was set up without a locale (LANG=C), so that new databases are not in UTF8.",
    "database.empty": "The ledger's file, disk or database is not where gateway.toml says, or it was never made.",
    "database.migrations-behind": "The gateway was upgraded, and its database was not.",
    "ledger.behind": "A backup or an old copy was put in the ledger's place, or the settings point to another database.",
    "checkpoint.unreadable": "The file was cut short by a full disk, or edited.",
    "package.not-installed": "The gateway was installed without that extra.",
    "workers.need-postgres": "SQLite lets one process write at a time, so there is nothing to share.",
    "workers.no-jobs": "The database was made before workers were wanted, or the package was upgraded since.",
    "oauth.not-authorized": "The account's owner has not yet said yes in the browser.",
    "backup.unfit": "It was made by a newer gateway, for another kind of database, or without what is asked for.",
    "ledger.newer": "The ledger that is there may hold what the backup does not.",
    "restore.file-in-the-way": "The home was changed after the backup was made.",
    "program.missing": "It is not installed, or its directory is not on the PATH of this user or service.",
    "program.too-old": "The machine's packages are older than the database server.",
    "payload-key.unreadable": "The file secret.key is another one than the data was encrypted with.",
    "certificate.unusable": "It has ended, or is not made for what it is to do.",
    # messages that came
    "message": "The mail, or what it carries, is not what was agreed.",
    "message.too-large": "The partner sends more in one mail than the limit allows.",
    "message.headers-too-large": "A mail system on the way adds headers without end, or somebody attacks.",
    "message.too-deep": "Mails were forwarded as attachments again and again, or somebody attacks.",
    "message.too-many-parts": "The mail has very many attachments, or somebody attacks.",
    "message.too-slow": "A part of the mail is built so that reading it takes very long, by mistake or on purpose.",
    "message.malformed": "A program wrote the mail that does not keep to the rules of mail.",
    "message.loop": "Two mail systems forward to each other, or our own mail came back to us.",
    "content.damaged": "The mail was cut short or changed on its way, or encoded wrongly by its sender.",
    "content.archive-refused": "The archive would unpack to more than the limits allow, or is damaged.",
    "content.archive-locked": "The partner protects its files by a password that we do not have.",
    "content.missing": "It is a letter, an advertisement or a question; or the file is in a form that holds no X12.",
    "sender.ambiguous": "The mail has several From addresses, or none that can be read.",
    "sender.unknown": "A stranger wrote; or the partner writes from an address that its profile does not have.",
    "sender.unproven": "The mail was not signed as agreed; somebody may pretend to be the partner, or its mail system changed.",
    "sender.undecided": "The name servers did not answer, so a signature could not be checked yet.",
    "identity.unknown": "The partner uses an identity that its profile does not have: a new one, or another qualifier.",
    "identity.mismatch": "Two partners share a mail system, a mail was forwarded, or somebody pretends to be another.",
    "receiver.not-us": "The partner addressed it to somebody else, or to an identity of ours that gateway.toml does not have.",
    "partner.not-active": "The profile is a draft, was suspended or has ended, and the partner sends all the same.",
    "agreement.unexpected-type": "The partner began to send another transaction set or version.",
    "usage.mismatch": "The partner forgot to change from test to production, or sends tests to the wrong place.",
    "usage.test-while-live": "The partner tests something new, or forgot to mark its documents for production.",
    "usage.production-while-testing": "The partner thinks that the test is over.",
    "payload.not-x12": "The file, or a piece of it, is cut short, damaged, or something else than X12.",
    "interchange.duplicate-number": "The partner's counter was reset, or its system numbers two interchanges alike.",
    "acknowledgment.unmatched": "It answers something that another system sent in our name, or a number of long ago.",
    "acknowledgment.forged": "The partner's system writes a wrong number, or somebody makes up what a partner should say.",
    "acknowledgment.of-gone": "The partner answers late, or again, what was put away since by the policy of retention.",
    "acknowledgment.as-test": "The partner's test system answers, or its production marks what it sends as a test.",
    "acknowledgment.contradicting": "The partner corrected itself, or two of its systems answer.",
    "acknowledgment.cancelled": "It was cancelled while in doubt, and the partner had it after all.",
    "acknowledgment.counts": "The partner lost some of the documents of the group, or its translator counts wrongly.",
    "acknowledgment.partly": "The partner's systems answer group by group, and one of them found something wrong.",
    "acknowledgment.superseded": "The partner took an interchange late that was sent again under new numbers meanwhile.",
    "document.repeated": "The partner's system ran twice, or somebody sent the document again by hand.",
    "message.processing-failed": "A defect, or a machine that ran out of memory; the message was put aside so that others go on.",
    "message.restored": "A backup was restored: what was processed after it was made is not known any more.",
    # security
    "security": "A signed, encrypted or compressed mail is not as it should be.",
    "security.malformed": "The mail was damaged on its way, or made by a program with defects.",
    "signature.invalid": "The mail was changed after it was signed: often a mail system that adds a footer or rewrites lines.",
    "signature.signer-unknown": "The partner has a new certificate that nobody has trusted yet, or somebody else signed.",
    "signature.signer-refused": "Its certificate has ended, was retired, or is not made for signatures.",
    "encryption.cannot-decrypt": "The partner encrypted for an old key of ours, or for somebody else.",
    "encryption.keys-unreadable": "The file secret.key is another one than our keys were stored with.",
    "security.algorithm": "The partner's program uses an algorithm that is broken, or that we do not know.",
    "compression.damaged": "The mail was damaged on its way.",
    "compression.past-bounds": "It unpacks to far more than it should, by mistake or on purpose.",
    "security.insufficient": "The partner forgot to sign or encrypt, or its settings were changed.",
    "security.answer": "We have no key to sign with, or no certificate of the partner to encrypt for.",
    "receipt": "A receipt (MDN) does not say what it should.",
    "receipt.negative": "The partner's mail or AS1 system refused the mail; the reason is its own.",
    "receipt.mismatch": "The mail was changed on its way, or the partner's program computes the check over other bytes.",
    "receipt.unproven": "The receipt is not signed by a certificate of the partner, as was agreed.",
    # documents to send
    "document": "What the business gave us cannot be sent as it is.",
    "document.unreadable": "The file is not X12, is empty, or was cut short.",
    "document.misaddressed": "The file lies in the directory of another partner, or its ISA names the wrong one.",
    "document.left": "Another outbox is named in gateway.toml since, and documents lay in the one before, or were put there later.",
    "document.misplaced": "The file lies beside the partners' directories, or in one that belongs to nobody.",
    "document.not-taken": "The file, or a directory of the outbox, is another user's; or the disk is full or read-only.",
    "document.submitted-again": "The business, or its program, put the same file there twice.",
    "document.key-reused": "The program that submits uses one key for two documents, partners or usages.",
    "document.submitted-before": "The business's system ran twice.",
    "document.invalid": "The business's system leaves out, or writes wrongly, what the guideline wants.",
    "document.separator-in-data": "A name or text in the document holds a character that the agreement uses to separate.",
    # commands
    "usage": "What was typed does not fit.",
    "not-found": "The number or name is misspelt, or what it named was put away.",
    "user.unknown": "The name is misspelt, or the user was removed.",
    "token.unknown": "The name is misspelt, or the token was never made here.",
    "user.taken": "Somebody has that name already.",
    "user.vouched-for": "The user signs in by a provider, which keeps the password.",
    "token.taken": "Names of tokens are never used twice, so that the ledger says who it was.",
    "content.put-away": "The time for which such bytes are kept was over.",
    "content.erased": "Somebody forgot the key on purpose, as the law or the partner asked.",
    "moved-archive.unreadable": "The file is another one, is damaged, or was made by a newer gateway.",
    "moved-archive.lost": "A person said that the archive is lost, and no file lies at its place.",
    "moved-archive.altered": "Somebody or something changed the file after it was written.",
    "not-allowed-now": "The thing is in a state in which this would do harm or nothing.",
    "hold.held-back": "Somebody put a legal hold on it.",
    "partner.not-ready": "Something of the checklist is still open.",
    "query.invalid": "A field, a value or a time is misspelt.",
    "backup.exists": "Backups are never overwritten unasked.",
    "password.refused": "It is too short, too common, or the name itself.",
    "api.request-invalid": "The program that asks sends another form than the description of the API says.",
    "api.revision-differs": "Somebody changed the profile since the program had read it.",
    # evidence and doors
    "ledger.not-as-recorded": "A row or event was changed, removed or added in the database, past the gateway.",
    "seal.invalid": "The file was changed, is of another ledger, or was signed by another key.",
    "door": "Whoever asks is not known, or may not do this.",
    "sign-in.refused": "A name or password was mistyped; or somebody tries passwords.",
    "sign-in.paused": "Passwords were tried too often from there, or for that name.",
    "sign-in.provider-refused": "The provider's answer is late, is for somebody else, or gives no role here.",
    "api.token-refused": "The token was revoked, has ended, or was copied wrongly.",
    "api.scope-missing": "The token was made for less.",
    "api.too-many-requests": "A program asks in a loop without pause.",
}


def cause_of(fault: type[GatewayError]) -> str:
    """What is usually behind a fault: its own cause, else that of the nearest branch above it."""
    for each in fault.__mro__:
        if issubclass(each, GatewayError) and each.code in CAUSES:
            return CAUSES[each.code]
    return CAUSES[GatewayError.code]


def cause_of_code(code: str) -> str:
    """The same by code, as the ledger keeps it; empty for a code that is not known (any more)."""
    return CAUSES.get(code, "")


def own_cause(fault: type[GatewayError]) -> bool:
    """Whether a fault has a cause of its own."""
    return fault.code in CAUSES
