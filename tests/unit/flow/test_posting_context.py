"""The authorities that a host is verified by are read once for many requests."""

from __future__ import annotations

import ssl
import urllib.request

import pytest

from gateway.flow import posting


@pytest.fixture
def made(monkeypatch):
    found = []
    make = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda: found.append(make()) or found[-1])
    return found


def test_one_context_serves_many_requests_and_is_made_anew_after_a_while(made, monkeypatch):
    """To read them takes 30 to 70 ms of CPU, which each document that went to a business by HTTPS paid."""
    moments = iter([0.0, 1.0, 599.0, 600.0])
    monkeypatch.setattr(posting.time, "monotonic", lambda: next(moments))
    handler, used = posting._Https(), []

    def do_open(connection, _request):
        used.append(connection.keywords["context"])

    handler.do_open = do_open
    assert made == []  # nobody asked for one
    with_limit = posting._Within.of(urllib.request.Request("https://business.example/"), posting._Limit(5.0))
    for _ in range(4):
        handler.https_open(with_limit)
    assert used == [made[0], made[0], made[0], made[1]]
    assert made[0].verify_mode == ssl.CERT_REQUIRED
    assert made[0].check_hostname
