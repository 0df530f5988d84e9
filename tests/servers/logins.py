"""The logins fixture: a provider of tokens, and Dovecot and Postfix that take every way to log in."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers import dovecot as dovecot_server
from servers import need, tokens
from servers import postfix as postfix_server
from servers.dovecot import Dovecot
from servers.postfix import Postfix
from servers.tokens import Provider

MECHANISMS = "plain login cram-md5 apop scram-sha-1 scram-sha-256 xoauth2 oauthbearer"

_DOVECOT = """
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {oauth}
}}
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""
_OAUTH = """
introspection_mode = post
introspection_url = {url}/introspect
username_attribute = username
active_attribute = active
active_value = true
timeout_msecs = 5000
"""
# Nobody sends without a login, and nobody logs in without TLS but by a mechanism that keeps the password.
_POSTFIX = """
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{port}
smtpd_sasl_security_options = noanonymous
smtpd_sasl_tls_security_options = noanonymous
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
"""


@dataclass(frozen=True)
class Logins:
    """All three; ``provider.user`` says whose token the next one is."""

    provider: Provider
    dovecot: Dovecot
    postfix: Postfix | None

    def smtp(self) -> Postfix:
        """Postfix, or the end of the test where it cannot run."""
        if self.postfix is None:
            need.absent("Postfix starts only as root")
        return self.postfix


@pytest.fixture(scope="session")
def logins():
    """The three, for the whole test run."""
    port = need.free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".ext", prefix="oauth") as oauth, tokens.running() as provider:
        oauth.write(_OAUTH.format(url=provider.url))
        oauth.flush()
        Path(oauth.name).chmod(0o644)
        more = _DOVECOT.format(oauth=oauth.name, port=port)
        with dovecot_server.running(MECHANISMS, more) as dovecot:
            if not _postfix_runs():
                yield Logins(provider, dovecot, None)
                return
            with postfix_server.running(dovecot.lmtp_port, _POSTFIX.format(port=port)) as postfix:
                yield Logins(provider, dovecot, postfix)


def _postfix_runs() -> bool:
    return os.geteuid() == 0 and shutil.which("postfix", path=":".join(need.PLACES)) is not None
