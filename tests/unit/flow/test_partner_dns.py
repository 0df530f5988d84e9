"""What the DNS says of a partner's mail, asked of a real name server that the test runs."""

import socket
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from gateway.errors import DnsUnavailable
from gateway.flow.partner_dns import MailDomain, look_up, resolver

ZONE = {
    ("acme.example.", "MX"): ["20 mx2.acme.example.", "5 mx1.acme.example."],
    ("acme.example.", "TXT"): ['"verification=1"', '"v=spf1 include:mail.example " "-all"'],
    ("_dmarc.acme.example.", "TXT"): ['"v=DMARC1; p=reject"'],
    ("null.example.", "MX"): ["0 ."],
    ("bare.example.", "A"): ["192.0.2.7"],
}


@pytest.fixture
def ask():
    """Asks a name server on this machine; a name that it does not know gets NXDOMAIN, ``broken.example`` SERVFAIL."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve():
        while True:
            data, client = server.recvfrom(4096)
            if not data:
                return
            server.sendto(_answer(dns.message.from_wire(data)).to_wire(), client)

    thread = threading.Thread(target=serve)
    thread.start()
    asked = dns.resolver.Resolver(configure=False)
    asked.nameservers, asked.port = ["127.0.0.1"], server.getsockname()[1]
    yield resolver(2, asked)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopper:
        stopper.sendto(b"", server.getsockname())
    thread.join()
    server.close()


def _answer(query):
    answer = dns.message.make_response(query)
    question = query.question[0]
    name, kind = str(question.name), dns.rdatatype.to_text(question.rdtype)
    answer.flags |= dns.flags.RA
    if name == "broken.example.":
        answer.set_rcode(dns.rcode.SERVFAIL)
    elif (name, kind) in ZONE:
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *ZONE[name, kind]))
    elif name not in {known for known, _ in ZONE}:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    return answer


def test_mail_exchangers_come_by_preference_with_spf_and_dmarc(ask):
    assert look_up("acme.example", ask) == MailDomain(
        "acme.example",
        ("mx1.acme.example", "mx2.acme.example"),
        has_address=True,
        spf="v=spf1 include:mail.example -all",
        dmarc="v=DMARC1; p=reject",
    )


@pytest.mark.parametrize(
    ("domain", "nothing"), [("null.example", True), ("nowhere.example", True), ("bare.example", False)]
)
def test_a_domain_takes_no_mail_where_it_says_so_or_has_no_host(ask, domain, nothing):
    assert look_up(domain, ask).takes_no_mail is nothing


def test_a_name_server_that_fails_is_no_answer(ask):
    with pytest.raises(DnsUnavailable):
        look_up("broken.example", ask)
