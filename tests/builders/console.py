"""What tests of the console share: forms with their secret, what a page says after an act, events of the ledger."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from markupsafe import escape
from starlette.testclient import TestClient

from gateway.app import open_app
from gateway.ledger.changes import changes
from gateway.ledger.events import Event

SECRET = "form-secret-of-somebody"
HOSTILE = '<script>alert("x")</script>'
SHOWN = str(escape(HOSTILE))


def post(client: TestClient, path: str, files: dict[str, Any] | None = None, **form: str) -> Any:
    """Posts a form of the session's own."""
    return client.post(path, data=form | {"csrf": SECRET}, files=files)


def said(client: TestClient, answer: Any) -> str:
    """The sentence that the page after an act shows once."""
    assert answer.status_code == 303, answer.text
    page = client.get(answer.headers["location"])
    assert page.status_code == 200, page.text
    found = re.search(r'<p class="said" role="status">(.*?)</p>', page.text, re.DOTALL)
    return html.unescape(found[1]) if found else ""


def text_of(page: Any) -> str:
    """What a page says, without its markup, on one line."""
    assert page.status_code == 200, page.text
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


def told(home: Path, kind: str) -> list[Event]:
    """The events of the configuration of that kind, the newest first."""
    with open_app(home) as app:
        return changes(app.engine, kinds=(kind,))
