"""A webhook and a command are told once, by the key that stays; what fails is said without what should stay hidden."""

import hashlib
import hmac
import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from builders.stage import HOUR, Stage, orders
from msgspec.structs import replace

from gateway.errors import AlertNotTold
from gateway.flow import telling
from gateway.ledger.attention import attention
from gateway.settings import AlertSettings

SECRET = "correct horse"


class Hook(BaseHTTPRequestHandler):
    """Keeps what it was posted, and answers what it is told to."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((dict(self.headers), body))
        self.send_response(self.server.answer)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def hook():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.heard, server.answer = [], 204
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class SecretStage(Stage):
    """A stage with one secret."""

    def context(self, reporter=None):
        return replace(super().context(reporter), secrets={"pager": SECRET}.__getitem__)


def stage_with(tmp_path, **more):
    stage = SecretStage(tmp_path)
    stage.settings = replace(stage.settings, alerts=(AlertSettings("pager", **more),))
    stage.mail(orders(1), sender="mallory@evil.example")
    return stage


def url(hook, path="/edi?key=hidden"):
    return f"http://127.0.0.1:{hook.server_port}{path}"


# ---------------------------------------------------------------- webhook


def test_a_webhook_gets_one_document_that_says_everything(tmp_path, hook):
    stage = stage_with(tmp_path, webhook=url(hook))
    stage.run()
    ((headers, body),) = hook.heard
    said = json.loads(body)
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["Idempotency-Key"] == said["telling"]
    assert (said["rule"], said["gateway"], said["test"], said["more"]) == ("pager", "Example Co", False, 0)
    (alert,) = said["alerts"]
    assert (alert["kind"], alert["reference"], alert["side"], alert["reason"]) == ("quarantined", "1", "partner", "new")
    assert alert["next"] == "gateway quarantine show 1"
    assert "Authorization" not in headers


def test_a_webhook_is_told_of_what_is_over_too(tmp_path, hook):
    from gateway.flow import operate

    stage = stage_with(tmp_path, webhook=url(hook))
    stage.run()
    operate.discard(stage.context(), "m1", actor="jo", reason="spam")
    stage.now += 2 * HOUR
    stage.run()
    said = json.loads(hook.heard[1][1])
    assert (said["alerts"], [each["state"] for each in said["over"]]) == ([], ["closed"])
    stage.now += 2 * HOUR
    stage.run()
    assert len(hook.heard) == 2


def test_a_bearer_secret_is_sent_and_an_hmac_secret_is_not(tmp_path, hook):
    stage = stage_with(tmp_path, webhook=url(hook), secret="pager")
    stage.run()
    assert hook.heard[0][0]["Authorization"] == f"Bearer {SECRET}"
    rule = replace(stage.settings.alerts[0], signature="hmac")
    telling.test(stage.context(), rule)
    headers, body = hook.heard[1]
    assert "Authorization" not in headers
    assert headers["X-Gateway-Signature"] == f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"
    assert json.loads(body)["test"] is True


def test_a_webhook_that_refuses_is_asked_again_under_the_same_key(tmp_path, hook):
    stage = stage_with(tmp_path, webhook=url(hook))
    hook.answer = 503
    summary = stage.run()
    assert isinstance(summary.troubles[-1][1], AlertNotTold)
    hook.answer = 409  # it had heard it already
    stage.now += 2 * 60_000
    stage.run()
    (first, second) = hook.heard
    assert first[0]["Idempotency-Key"] == second[0]["Idempotency-Key"]
    assert first[1] == second[1]
    stage.run()
    assert len(hook.heard) == 2


def test_a_redirect_is_not_followed_and_its_secret_goes_nowhere(tmp_path, hook):
    stage = stage_with(tmp_path, webhook=url(hook), secret="pager")
    hook.answer = 302
    stage.run()
    with stage.ledger.reading() as connection:
        (failing,) = [each for each in attention(connection) if each.state == "not told"]
    assert "redirects" in failing.reason


def test_neither_path_nor_secret_of_a_webhook_is_told_or_kept(tmp_path, hook):
    stage = stage_with(tmp_path, webhook=url(hook), secret="pager")
    hook.answer = 500
    summary = stage.run()
    kept = json.dumps([stage.rows("alert"), stage.rows("event")], default=repr) + repr(summary.as_dict())
    assert "hidden" not in kept
    assert SECRET not in kept


def test_a_secret_that_is_missing_is_said_and_the_batch_goes_on(tmp_path, hook):
    stage = stage_with(tmp_path, webhook=url(hook), secret="pager")
    stage.__class__ = Stage
    summary = stage.run()
    assert "There is no secret named pager" in str(summary.troubles[-1][1])
    assert hook.heard == []


def test_a_webhook_that_is_away_does_not_stop_the_other_rules(tmp_path):
    stage = stage_with(tmp_path, webhook="http://127.0.0.1:1/", timeout=timedelta(seconds=2))
    stage.settings = replace(
        stage.settings, alerts=(*stage.settings.alerts, AlertSettings("ops", to=("ops@us.example",)))
    )
    stage.run()
    assert len(stage.sent) == 1


# ---------------------------------------------------------------- command


@pytest.fixture
def script(tmp_path):
    def write(text):
        file = tmp_path / "tell me.sh"
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return f"'{file}' '--queue=$HOME;edi'"

    return write


def test_a_command_gets_the_document_and_the_facts_and_no_shell_sees_its_words(tmp_path, script, monkeypatch):
    monkeypatch.setenv("GATEWAY_SECRET_SMTP", "hidden")
    stage = stage_with(tmp_path, command=script('cat > doc; env > facts; echo "$1" > words'))
    stage.run()
    assert json.loads((tmp_path / "doc").read_text())["alerts"][0]["kind"] == "quarantined"
    facts = dict(each.partition("=")[::2] for each in (tmp_path / "facts").read_text().splitlines())
    assert facts["GATEWAY_RULE"] == "pager"
    assert facts["GATEWAY_ALERTS"] == "1"
    assert facts["GATEWAY_KINDS"] == "quarantined"
    assert facts["GATEWAY_NEXT"] == "gateway quarantine show 1"
    assert facts["GATEWAY_KEY"].startswith("pager-1-")
    assert "GATEWAY_SECRET_SMTP" not in facts
    assert (tmp_path / "words").read_text() == "--queue=$HOME;edi\n"


def test_a_command_that_fails_is_said_with_its_last_words(tmp_path, script):
    stage = stage_with(tmp_path, command=script("echo no queue >&2; exit 3"))
    summary = stage.run()
    said = str(summary.troubles[-1][1])
    assert "no queue (exit code 3)" in said
    assert "queue=" not in said  # arguments may hold what nobody should read


def test_a_command_that_hangs_is_ended_by_its_time_limit(tmp_path, script):
    stage = stage_with(tmp_path, command=script("exec sleep 60"), timeout=timedelta(seconds=1))
    summary = stage.run()
    assert "did not end within 1 seconds" in str(summary.troubles[-1][1])
