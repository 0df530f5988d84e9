"""Faults of hosts and databases that do not serve us, and of handing a mail over."""

from __future__ import annotations

from gateway.errors.base import GatewayError, Side


class Unavailable(GatewayError):
    """A host or database did not serve us; nothing is lost, the next run tries again."""

    code = "unavailable"
    sentence = "{what} is not available: {reason}"
    advice = "Nothing is lost; the next run tries again. `gateway doctor` tells more."
    side = Side.HOST
    permanent = False
    exit_code = 69


class MailboxUnavailable(Unavailable):
    code = "mailbox.unavailable"
    sentence = "The mailbox {mailbox} at {host} cannot be read: {reason}"


class MailboxBusy(Unavailable):
    code = "mailbox.busy"
    sentence = "The mailbox {mailbox} at {host} is in use by another session: {reason}"
    advice = "Wait for the other session to end; if it happens often, look for a second mail client."


class MessageNotGiven(Unavailable):
    code = "mailbox.message-not-given"
    sentence = "The mailbox {mailbox} at {host} does not give message {uid}: {reason}"
    advice = "It stays on the server; the next run asks again. If it never comes, look at it with a mail client."


class LoginRefused(Unavailable):
    code = "mail.login-refused"
    sentence = "{host} refused the login of {user}: {reason}"
    advice = "Check the user name and set the password again with `gateway secret set`."
    permanent = True

    @property
    def next_step(self) -> str:
        """What whoever raised it knows better: where the password is kept, or that no password would help."""
        return str(self.details.get("advice") or super().next_step)


class InsecureConnection(Unavailable):
    code = "mail.insecure"
    sentence = "The connection to {host} is not safe: {reason}"
    advice = "No password was sent. Correct the host name, the certificate or the ca_file setting."
    permanent = True


class SmtpUnavailable(Unavailable):
    code = "smtp.unavailable"
    sentence = "The SMTP host {host} does not take mail: {reason}"


class SmtpCrowded(SmtpUnavailable):
    code = "smtp.crowded"
    sentence = "The SMTP host {host} takes no further connection: {reason}"
    advice = "The mails go through the connections that it takes; set smtp.connections to as many as it allows."


class DnsUnavailable(Unavailable):
    code = "dns.unavailable"
    sentence = "The DNS does not answer what {name} holds: {reason}"
    advice = "Check the name servers of this machine; DKIM signatures cannot be verified without them."


class SmtpInterrupted(SmtpUnavailable):
    code = "smtp.interrupted"
    sentence = "The connection to the SMTP host {host} broke while it was given a mail; nothing was taken: {reason}"
    advice = "It is tried again by itself with growing pauses. If one mail breaks it each time, look at that mail."


class DatabaseUnavailable(Unavailable):
    code = "database.unavailable"
    sentence = "The database cannot be used: {reason}"
    advice = "Check that it runs, that the disk is not full, and the url in gateway.toml."
    side = Side.OURS


class DiskFailed(DatabaseUnavailable):
    """The disk under an SQLite ledger; the handle was dropped, for nobody knows what it really holds."""

    code = "database.disk-failed"
    sentence = "The disk under the ledger does not do what it is told: {reason}"
    advice = "The run stopped there; what was recorded before is safe. Look at the disk, then `gateway doctor`."


class CheckpointUnwritable(Unavailable):
    code = "checkpoint.unwritable"
    sentence = "{path} cannot be written, so nothing is sent: {reason}"
    advice = "Make room, or correct the owner or mode of the directory; the next run goes on."
    side = Side.OURS


class OutputUnwritable(Unavailable):
    code = "output.unwritable"
    sentence = "Standard output cannot be written: {reason}"
    advice = "Make room, or write to another place. What the command did so far is done; what it tells is lost."
    side = Side.OURS


class DatabaseConflict(DatabaseUnavailable):
    code = "database.conflict"
    sentence = "Another transaction was in the way: {reason}"
    advice = (
        "Nothing was written, though it was tried several times. Workers and nights do it again by themselves; give a "
        "command again. If it is reported often, tell us what ran side by side."
    )


class DeliveryFailed(Unavailable):
    code = "delivery.failed"
    sentence = "{what} could not be handed to the business at {target}: {reason}"
    advice = "Correct the directory or hook; the next run delivers it again under the same name and key."
    side = Side.OURS


class AlertNotTold(Unavailable):
    code = "alert.not-told"
    sentence = "The alert rule {rule} could not tell {target}: {reason}"
    advice = "It is tried again by itself with growing pauses. Correct the rule, then `gateway alert test {rule}`."
    side = Side.OURS


class TryAgainLater(GatewayError):
    """Somebody else is at work; the same command will succeed later."""

    code = "try-again-later"
    sentence = "Not now: {reason}"
    advice = "Try again in a minute."
    side = Side.OURS
    permanent = False
    exit_code = 75


class HomeInUse(TryAgainLater):
    code = "home.in-use"
    sentence = "The home {path} is in use by {holder}."
    advice = (
        "Wait for it to end, then try again; two commands that change something in one home are refused on purpose."
    )


class LeaseLost(TryAgainLater):
    code = "lease.lost"
    sentence = "{name} is no longer ours to work on: {reason}"
    advice = "Nothing was written; whoever has it now goes on. If it happens often, the machine is starved of time."


class SendingFault(GatewayError):
    """An attempt to mail something did not succeed; the bytes and numbers stay the same."""

    code = "sending"
    sentence = "{host} did not take the mail: {reason}"
    advice = "`gateway exchange show` tells the whole story."
    side = Side.HOST


class TemporarilyRefused(SendingFault):
    code = "sending.deferred"
    sentence = "{host} refuses for now: {reply}"
    advice = "It is tried again by itself with growing pauses."
    permanent = False
    exit_code = 75


class GivenUp(SendingFault):
    code = "sending.given-up"
    sentence = "Given up after {attempts} attempts. The last one: {reason}"
    advice = "Ask the mail host for the cause, then `gateway exchange resend`."
    exit_code = 65


class Refused(SendingFault):
    code = "sending.refused"
    sentence = "{host} refuses {recipient} for good: {reply}"
    advice = "Correct the address in the profile, then `gateway exchange resend`."
    exit_code = 65


class OutcomeUnknown(SendingFault):
    code = "sending.in-doubt"
    sentence = "The connection to {host} was lost after the final dot: the mail may or may not have been taken."
    advice = "An acknowledgment resolves it; else `gateway exchange resolve` after asking the partner."
    permanent = False
    exit_code = 75
