"""The doctor tells terms that nobody can keep, accounts that do not fit, and has a word for everything it finds."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from servers import need
from servers.greeting import greeting

from gateway.errors import DnsUnavailable, all_faults
from gateway.flow.check_accounts import check_accounts, check_hooks, check_own_domain
from gateway.flow.check_catalog import CATALOG, SECTIONS
from gateway.flow.check_mail import check_smtp
from gateway.flow.check_partners import check_deliveries
from gateway.flow.check_terms import check_terms
from gateway.mail.domain_records import DomainRecords
from gateway.mail.host import MailHost
from gateway.mail.model import Credentials
from gateway.mail.smtp import SmtpTransport
from gateway.settings import AlertSettings, Kept, MailboxSettings, RetentionSettings, Settings, SmtpSettings
from partners.calendar import Calendar
from partners.model import (
    AcknowledgmentPolicy,
    Agreement,
    Delivery,
    Direction,
    EnvelopeSettings,
    FunctionalAck,
    Identity,
    Partner,
    Security,
    Status,
)

TOP = Path(__file__).resolve().parents[3]
US = "edi@ours.com"


def settings(**changes):
    made = Settings(Path("/home"), "Ours", "ours.com", (("ZZ", "OURCO"),), "sqlite://")
    return replace(made, **changes)


def out(**changes):
    made = Agreement("invoices", Direction.OUT, ("810",), envelope=EnvelopeSettings(usage="P"))
    return replace(made, **changes)


def partner(*agreements, **changes):
    made = Partner("acme", "Acme", Status.LIVE, ("edi@acme.com",), (Identity.of("ZZ", "ACME"),), agreements)
    return replace(made, **changes)


def codes(found):
    made = list(found)
    assert all(each.advice for each in made)
    return [(each.code, each.ok) for each in made]


# ---------------------------------------------------------------- terms


@pytest.mark.parametrize(
    ("who", "told"),
    [
        (partner(out()), []),
        (partner(addresses=(US.upper(),)), [("partner.our-address", False)]),
        (partner(addresses=("box@ours.com",)), [("partner.our-address", False)]),
        (partner(calendar=Calendar("Mars/Olympus")), [("partner.unknown-zone", False)]),
        (partner(out(guideline="acme.toml")), [("agreement.no-guideline", False)]),
        (partner(out(guideline="acme.toml"), guidelines=(("acme.toml", ""),)), []),
        (partner(out(acknowledgment=AcknowledgmentPolicy(within=None))), [("agreement.no-deadline", None)]),
        (partner(out(acknowledgment=AcknowledgmentPolicy(within=None, functional=FunctionalAck.NONE))), []),
        (partner(out(envelope=EnvelopeSettings(usage="T"))), [("agreement.test-indicator", None)]),
        (partner(out(), status=Status.TESTING), []),
        (partner(out(envelope=EnvelopeSettings(usage="T")), status=Status.TESTING), []),
        (partner(out(retention=Kept(timedelta(days=1)))), [("agreement.kept-too-short", None)]),
        (partner(out(), retention=Kept(timedelta(days=1))), [("agreement.kept-too-short", None)]),
        (partner(out(retention=Kept(timedelta(days=3)))), []),
        (partner(out(guideline="acme.toml"), status=Status.SUSPENDED), []),
    ],
)
def test_terms_that_cannot_be_kept_are_told(who, told):
    """Each contradiction has a code; what is agreed with those we do not trade with does not matter."""
    boxes = (MailboxSettings("orders", "pop3", host="h", user="box@ours.com"),)
    assert codes(check_terms([who], settings(smtp=SmtpSettings("h", sender=US), mailboxes=boxes))) == told


def test_a_receipt_may_take_longer_than_what_is_kept():
    """The longest time that something is awaited counts."""
    late = out(security=Security(receipt="signed", receipt_within=timedelta(days=9)))
    short = RetentionSettings(ledger=timedelta(days=5))
    assert codes(check_terms([partner(late)], settings(retention=short))) == [("agreement.kept-too-short", None)]


# ---------------------------------------------------------------- accounts


@pytest.mark.parametrize(
    ("boxes", "told"),
    [
        (({"host": "h", "user": "a"}, {"host": "H", "user": "A"}), True),
        (({"host": "h", "user": "a"}, {"host": "h", "user": "b"}), False),
        (({"host": "h", "user": "a"}, {"host": "h", "user": "a", "folder": "EDI"}), False),
        (({"protocol": "maildir", "path": "/m"}, {"protocol": "maildir", "path": "/m"}), True),
    ],
)
def test_an_account_that_is_read_twice_is_told(boxes, told):
    """Nothing is lost, but the two are in each other's way."""
    made = tuple(MailboxSettings(name, **{"protocol": "imap"} | box) for name, box in zip("ab", boxes, strict=True))
    assert codes(check_accounts(settings(mailboxes=made))) == ([("mailbox.twice", None)] if told else [])


@pytest.mark.parametrize(
    ("smtp", "told"),
    [
        (SmtpSettings("smtp.ours.com", sender=US, user=US), []),
        (SmtpSettings("smtp.ours.com", sender=US), [("smtp.no-login", None)]),
        (SmtpSettings("smtp.ours.com", sender=US, port=25), []),
        (SmtpSettings("127.0.0.1", sender="edi@example.com"), []),
        (SmtpSettings("smtp.ours.com", sender="edi@example.com", user="x"), [("smtp.placeholder-sender", None)]),
        (SmtpSettings("smtp.ours.com", sender="edi@mail.test", user="x"), [("smtp.placeholder-sender", None)]),
    ],
)
def test_a_way_to_send_that_does_not_fit_is_told(smtp, told):
    """Port 587 wants a login, and nobody can answer an example."""
    assert codes(check_accounts(settings(smtp=smtp))) == told


def transport(host, user=""):
    return SmtpTransport(
        host=host.host,
        port=host.smtp_port,
        security="none",
        credentials=Credentials(user, lambda: "right") if user else None,
        plaintext_password=True,
        helo="x.example",
    )


def test_a_host_that_wants_a_login_first_is_told():
    """It greets, and then refuses the sender."""
    with MailHost({US: "right"}, require_login=True) as host:
        smtp = SmtpSettings(host.host, sender=US, security="none")
        assert codes(each for each in check_smtp(smtp, transport(host)) if each.ok is False) == [
            ("smtp.no-login", False)
        ]
        assert codes(each for each in check_smtp(smtp, transport(host, US)) if each.ok is False) == []
        assert host.waiting(US) == ()


class Answers:
    """A DNS in a test: MX and SPF by domain; None: it does not answer."""

    def __init__(self, mx, spf):
        self.mail_exchangers = lambda domain: self._said(domain, mx)
        self.spf = lambda domain: self._said(domain, spf)

    def _said(self, domain, found):
        if found is None:
            raise DnsUnavailable(name=domain, reason="no answer")
        return found


@pytest.mark.parametrize(
    ("mx", "spf", "told"),
    [
        (["mx.ours.com"], ["v=spf1 mx -all"], []),
        ([], ["v=spf1 mx -all"], [("dns.no-mx", None)]),
        (["mx.ours.com"], [], [("dns.no-spf", None)]),
        (["mx.ours.com"], ["v=spf1 mx", "v=spf1 a"], [("dns.no-spf", None)]),
        (None, [], [("dns.unavailable", None)]),
        (["mx.ours.com"], None, [("dns.unavailable", None)]),
    ],
)
def test_our_own_domain_is_looked_up(mx, spf, told):
    """Mail to us must find a host, and ours must not look forged."""
    assert codes(check_own_domain(SmtpSettings("h", sender=US), Answers(mx, spf))) == told
    assert codes(check_own_domain(SmtpSettings("h", sender="edi@example.com"), Answers(None, None))) == []
    assert codes(check_own_domain(None, Answers(None, None))) == []


def test_records_are_read_as_the_dns_gives_them():
    """Long texts come in pieces, a null MX is none, and a name that is not there has nothing."""
    import dns.resolver
    import dns.rrset

    class Resolver:
        def __init__(self, *lines):
            self.lines = lines

        def resolve(self, name, kind, **_):
            found = [each for each in self.lines if each.startswith(f"{kind} ")]
            if not found:
                raise dns.resolver.NXDOMAIN
            return dns.rrset.from_text(f"{name}.", 60, "IN", kind, *(each.partition(" ")[2] for each in found))

    records = DomainRecords(1, Resolver("MX 20 b.ours.com.", "MX 10 a.ours.com.", 'TXT "v=spf1 " "mx -all"', 'TXT "x"'))
    assert records.mail_exchangers("ours.com") == ["a.ours.com", "b.ours.com"]
    assert records.spf("ours.com") == ["v=spf1 mx -all"]
    assert DomainRecords(1, Resolver("MX 0 .")).mail_exchangers("ours.com") == []
    assert DomainRecords(1, Resolver()).spf("ours.com") == []

    class Silent:
        def resolve(self, *_, **__):
            raise dns.resolver.LifetimeTimeout(timeout=1, errors=[])

    with pytest.raises(DnsUnavailable, match="no answer within 1 s"):
        DomainRecords(1, Silent()).spf("ours.com")


# ---------------------------------------------------------------- deliveries


def posted(port):
    delivery = Delivery("http", f"http://127.0.0.1:{port}/take")
    return partner(Agreement("orders", Direction.IN, ("850",), delivery=delivery))


def test_a_hook_where_nothing_listens_is_wrong():
    """A connection is made, and nothing is posted."""
    gone = need.free_port()
    rule = AlertSettings("chat", webhook=f"https://127.0.0.1:{gone}/x")
    with greeting("") as port:
        assert codes(check_hooks([posted(port)], settings())) == []
    found = list(check_hooks([posted(gone)], settings(alerts=(rule,))))
    assert codes(found) == [("hook.unreachable", False)] * 2
    assert {each.name for each in found} == {"delivery acme/orders", "alert chat"}
    assert {each.exit_code for each in found} == {69}


def test_a_directory_that_can_never_be_made_is_wrong(tmp_path):
    """Above it is a file, or a directory of somebody else."""
    (tmp_path / "file").write_text("")

    def found(target):
        agreement = Agreement("orders", Direction.IN, ("850",), delivery=Delivery("directory", target))
        return codes(check_deliveries([partner(agreement)], tmp_path, None))

    assert found("file/deep/er") == [("delivery.not-writable", False)]
    assert found("file") == [("delivery.not-writable", False)]
    assert found("new/one") == []


# ---------------------------------------------------------------- the catalogue


def sources():
    files = [*(TOP / "gateway/flow").glob("check_*.py"), TOP / "gateway/flow/checks.py", TOP / "gateway/flow/logins.py"]
    return {each: each.read_text("utf-8") for each in files if each.name != "check_catalog.py"}


FAULTS = {each.code for each in all_faults()}


def test_every_code_of_a_check_is_in_the_catalogue_and_every_entry_is_found_somewhere():
    """A code that is not explained, or an entry that nothing finds, is a mistake."""
    text = "\n".join(sources().values())
    used = set(re.findall(r'"([a-z]+(?:\.[a-z-]+)|not-checked)"', text)) & (
        CATALOG.keys() | set(re.findall(r'code="([^"]+)"', text))
    )
    assert used - CATALOG.keys() == set()
    assert {code for code in CATALOG if code not in used and code not in FAULTS} == set()


def test_every_check_that_finds_something_has_a_code():
    """A failed check or a warning without a code could not be looked up."""
    for file, text in sources().items():
        for call in re.findall(r"yield Check\(.*?\n(?=\s*(?:yield|return|elif|else|if|def|$|\)))", text, re.DOTALL):
            if not re.search(r"Check\(\s*[^,]+,\s*True,", call):
                assert re.search(r"code=|UNAVAILABLE, \"|UNAVAILABLE, code", call), f"{file.name}: {call}"


def test_every_code_is_proven_by_a_test():
    """Each entry that is no fault is named in a test of the doctor."""
    tests = [*(TOP / "tests/unit/flow").glob("test_check*.py"), TOP / "tests/integration/test_doctor.py"]
    text = "\n".join(each.read_text("utf-8") for each in tests)
    assert {code for code in CATALOG if code not in FAULTS and f'"{code}"' not in text} == set()


def test_the_doctor_finds_more_than_fifty_things():
    """The catalogue has one section for each part of the gateway."""
    assert len(CATALOG) == sum(len(each) for each in SECTIONS.values()) > 50
