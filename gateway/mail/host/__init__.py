"""A mail host in one process: real POP3 and SMTP on loopback ports, for the demo and the tests."""

from gateway.mail.host.host import MailHost
from gateway.mail.host.store import Store

__all__ = ["MailHost", "Store"]
