"""The API: what each operation gives, refuses and records; its description is true of every answer."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jsonschema
import pytest
from msgspec.structs import replace
from openapi_spec_validator import validate
from sqlalchemy import select
from starlette.testclient import TestClient

from gateway.app import open_app
from gateway.console import watching
from gateway.console.api import OPERATIONS, acting, documents, exchanges, reports
from gateway.console.build import build
from gateway.console.callers import Callers
from gateway.console.door import Entrance
from gateway.console.people import Role, Somebody, User
from gateway.console.site import Site
from gateway.console.watching import DownloadEndedError
from gateway.jobs.lock import HomeLock
from gateway.ledger import api_tokens, saved
from gateway.ledger.api_tokens import SCOPES
from gateway.ledger.tables import api_token, event, exchange
from gateway.settings import ConsoleSettings

ROOT = "/api/v1"
INVOICE = b"ST*810*0001~BIG*20261128*INV-77001**PO-1~TDS*100~CTT*1~SE*5*0001~"


@pytest.fixture
def site(home):
    site = Site(home, patience=0.3)
    yield site
    site.close()


@pytest.fixture
def app(site):
    return build(site, Somebody(User("nobody", Role.VIEWER)), (), Entrance.of(ConsoleSettings(), 1_000_000))


@pytest.fixture
def described(app):
    with TestClient(app, base_url="http://127.0.0.1:8025") as client:
        return client.get(f"{ROOT}/openapi.json").json()


class Program:
    """A program with a token; every answer of it is checked against the description."""

    def __init__(self, app, token, described):
        self._client = TestClient(app, base_url="http://127.0.0.1:8025", headers={"authorization": f"Bearer {token}"})
        self._described = described

    def __call__(self, method, path, status, **options):
        answer = self._client.request(method, ROOT + path, **options)
        assert answer.status_code == status, answer.text[:500]
        self._check(method, path.partition("?")[0], answer)
        return answer.json() if "json" in answer.headers["content-type"] else answer

    def _check(self, method, path, answer):
        declared = self._operation(method, path)
        assert declared is not None, f"{method} {path} is not described"
        response = declared["responses"].get(str(answer.status_code))
        assert response is not None, f"{method} {path}: {answer.status_code} is not described"
        if "$ref" in response:
            response = self._described["components"]["responses"][response["$ref"].rpartition("/")[2]]
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in response["content"], f"{kind} is not described"
        if kind.endswith("json"):
            schema = response["content"][kind]["schema"] | {"components": self._described["components"]}
            jsonschema.validate(answer.json(), schema)

    def _operation(self, method, path):
        """The operation that the path is of; what is written out goes before what is open."""
        parts = path.split("/")
        for template in sorted(self._described["paths"], key=lambda each: each.count("{")):
            wanted = template.split("/")
            fits = [w.startswith("{") or w == p for p, w in zip(parts, wanted, strict=False)]
            if len(parts) == len(wanted) and all(fits):
                return self._described["paths"][template].get(method.lower())
        return None


@pytest.fixture
def program(site, app, described):
    """A program whose token has these scopes (all of them where none is named)."""

    def made(*scopes, partner="", name="erp", lasts=None):
        token = site.app.ledger.write(
            lambda recorder: api_tokens.add(recorder, name, scopes or SCOPES, partner=partner, lasts=lasts)
        )
        return Program(app, token, described)

    return made


@pytest.fixture
def erp(program):
    return program()


@pytest.fixture
def acme(program):
    """A token of one partner with all that such a token can have."""
    return program(*(SCOPES.keys() - {"profiles", "metrics"}), partner="acme", name="acme-only")


def events(site, kind):
    with site.app.ledger.reading() as connection:
        rows = connection.execute(select(event.c.actor, event.c.exchange, event.c.body).where(event.c.kind == kind))
        return [(actor, number, json.loads(body)) for actor, number, body in rows]


def numbers(site, **wanted):
    with site.app.ledger.reading() as connection:
        found = select(exchange.c.id).where(*(exchange.c[name] == value for name, value in wanted.items()))
        return list(connection.execute(found.order_by(exchange.c.id)).scalars())


# ---------------------------------------------------------------- the description


def test_the_description_is_openapi_and_names_every_operation_once(described):
    validate(described)
    assert described["openapi"].startswith("3.1")
    names = [each.name for each in OPERATIONS]
    assert len(set(names)) == len(names)
    assert {each.scope for each in OPERATIONS} <= set(SCOPES)
    assert sum(len(methods) for methods in described["paths"].values()) == len(OPERATIONS)


# ---------------------------------------------------------------- tokens


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (None, "it shows none"),
        ("Bearer ", "it shows none"),
        ("Basic b2xnYTpwdw==", "no bearer token"),
        ("Bearer edigw_unknown", "nobody made the token"),
        ("Bearer " + "x" * 1_000, "no bearer token"),
    ],
)
def test_who_shows_no_good_token_gets_nothing(app, header, said):
    """Not even whether there is something."""
    with TestClient(app, base_url="http://127.0.0.1:8025") as client:
        for path in ("/exchanges", "/exchanges/1", "/exchanges/99999", "/partners"):
            answer = client.get(ROOT + path, headers={"authorization": header} if header else {})
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert (answer.json()["code"], said in answer.json()["detail"]) == ("api.token-refused", True)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/exchanges/1", "GET, HEAD"),
        ("GET", "/exchanges/1/settle", "POST"),
        ("POST", "/partners/acme/profile", "GET, HEAD, PUT"),
    ],
)
def test_another_method_of_a_place_that_is_there_is_told_with_those_that_are_possible(app, method, path, allowed):
    with TestClient(app, base_url="http://127.0.0.1:8025") as client:
        answer = client.request(method, ROOT + path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        assert answer.json()["title"].endswith(f"possible are {allowed}.")
        assert client.request(method, f"{ROOT}/nowhere").status_code == 404


def test_a_session_of_the_console_is_no_token(app):
    """So no page elsewhere can make a browser use the API."""
    with TestClient(app, base_url="http://127.0.0.1:8025") as client:
        client.cookies.set("console", "anything")
        assert client.get(f"{ROOT}/exchanges").status_code == 401


def test_a_token_that_was_revoked_or_has_ended_counts_no_more(site, program):
    gone = program("search", name="gone")
    late = program("search", name="late", lasts=1_000)
    gone("GET", "/exchanges", 200)
    late("GET", "/exchanges", 200)
    site.app.ledger.write(lambda recorder: api_tokens.revoke(recorder, "gone"))
    real = site.clock
    site.clock = lambda: real() + 2_000
    assert "was revoked" in gone("GET", "/exchanges", 401)["detail"]
    assert "has expired" in late("GET", "/exchanges", 401)["detail"]


def test_a_download_under_way_ends_with_its_token(site, program, monkeypatch):
    """What was revoked gets no further piece, and no end that looks like one."""
    monkeypatch.setattr(watching, "EVERY", 0.0)
    gone = program(name="gone")

    def pieces(_pieces, _home):
        yield b"one"  # read before the answer begins
        site.app.ledger.write(lambda recorder: api_tokens.revoke(recorder, "gone"))
        yield b"two"

    number = numbers(site, direction="in")[0]
    assert gone("GET", f"/exchanges/{number}/raw", 200).content
    monkeypatch.setattr(exchanges, "spooled", pieces)
    with pytest.raises(DownloadEndedError):
        gone("GET", f"/exchanges/{number}/raw", 200)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_each_operation_needs_its_scope(program, operation):
    """All other scopes together do not help."""
    others = program(*(SCOPES.keys() - {operation.scope}))
    path = operation.path.format(number=1, key="acme", reference="m5", document=1)
    refused = others(operation.method, path, 403)
    assert (refused["code"], refused["details"]["scope"]) == ("api.scope-missing", operation.scope)


def test_a_token_that_asks_too_often_is_told_when_to_come_again(home, site, described, program):
    """Others are not held up; the pause ends."""
    file = home / "gateway.toml"
    file.write_text(file.read_text() + "\n[console]\napi_rate = 60\n")
    token = site.app.ledger.write(lambda recorder: api_tokens.add(recorder, "busy", ["search"]))
    app = build(site, Somebody(User("nobody", Role.VIEWER)), (), Entrance.of(ConsoleSettings(), 1_000_000))
    now = [0.0]
    app.state.callers = Callers(site, lambda: now[0])
    busy = Program(app, token, described)
    for _ in range(10):
        busy("GET", "/exchanges/count", 200)
    refused = busy._client.get(f"{ROOT}/exchanges/count")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
    assert refused.json()["code"] == "api.too-many-requests"
    now[0] = 1.1
    busy("GET", "/exchanges/count", 200)
    program("search")("GET", "/exchanges/count", 200)


def test_the_last_use_of_a_token_is_kept_to_the_hour(site, app, erp):
    def used():
        app.state.callers._later.submit(int).result()
        with site.app.ledger.reading() as connection:
            return connection.execute(select(api_token.c.used_at)).scalar_one()

    assert used() is None
    erp("GET", "/exchanges/count", 200)
    first = used()
    assert first is not None
    real = site.clock
    site.clock = lambda: real() + 3_000_000
    erp("GET", "/exchanges/count", 200)
    assert used() == first
    site.clock = lambda: real() + 3_700_000
    erp("GET", "/exchanges/count", 200)
    assert used() > first


# ---------------------------------------------------------------- finding and reading


def test_pages_follow_each_other_by_a_text_of_any_letters(site, erp):
    """A cursor holds the text that is sorted by: of other alphabets each letter takes many characters."""
    subject = "\u0417\u0430\u043a\u0430\u0437 " * 60
    with site.app.ledger.transaction() as recorder:
        recorder.connection.execute(exchange.update().values(subject=subject))
    everything = [each["id"] for each in erp("GET", "/exchanges", 200)["exchanges"]]
    seen, before = [], {}
    for _ in everything:
        page = erp("GET", "/exchanges", 200, params={"q": "sort=-subject", "limit": 2} | before)
        seen += [each["id"] for each in page["exchanges"]]
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert sorted(seen) == sorted(everything)


def test_an_order_that_mails_lack_is_refused(erp):
    """Else a page would be full, and say that there is no further one."""
    answer = erp("GET", "/mails", 400, params={"q": "sort=file", "limit": 1})
    assert "mails are sorted by" in json.dumps(answer)


def test_exchanges_are_found_by_the_query_language_page_by_page(site, erp):
    """All of them, each once, newest first."""
    everything = numbers(site)
    seen, cursor = [], ""
    while cursor is not None:
        page = erp("GET", "/exchanges", 200, params={"limit": 7} | ({"before": cursor} if cursor else {}))
        seen += [each["id"] for each in page["exchanges"]]
        cursor = page["next"]
    assert sorted(seen) == everything
    assert len(seen) == len(set(seen))
    asked = erp("GET", "/exchanges", 200, params={"q": 'partner=acme state=delivered "Order in the body"'})
    assert [each["subject"] for each in asked["exchanges"]] == ["Order in the body"]
    assert erp("GET", "/exchanges/count", 200, params={"q": "partner=acme"})["count"] == len(
        numbers(site, partner="acme")
    )


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"q": "state=nonsense"}, "query.invalid"),
        ({"q": "since=someday"}, "query.invalid"),
        ({"q": "@nothing"}, ""),
        ({"q": "limit=3"}, "api.request-invalid"),
        ({"q": "LIMIT:3"}, "api.request-invalid"),
        ({"q": "Before=1-1"}, "api.request-invalid"),
        ({"before": "rubbish"}, "query.invalid"),
        ({"limit": "0"}, "api.request-invalid"),
        ({"limit": "many"}, "api.request-invalid"),
        ({"limit": "-1"}, "api.request-invalid"),
        ({"limit": "1000000"}, "api.request-invalid"),
        ({"Q": "x"}, "api.request-invalid"),
        ({"q": "x" * 5_000}, "api.request-invalid"),
        ({"q": "a\0b"}, "api.request-invalid"),
    ],
)
def test_what_cannot_be_understood_is_said_with_its_place(erp, params, code):
    answer = erp._client.get(f"{ROOT}/exchanges", params=params)
    assert answer.status_code in {400, 404}
    assert answer.json()["code"] == code or not code


@pytest.mark.parametrize("path", ["/exchanges", "/exchanges/count", "/mails", "/reports/volumes"])
def test_a_quote_that_nothing_closes_is_told_with_what_follows_it(erp, path):
    """What a program means by it nobody knows; it found nothing, and said nothing."""
    answer = erp._client.get(f"{ROOT}{path}", params={"q": 'partner=acme subject="blue paint'})
    assert answer.status_code in {400, 422}
    assert answer.json()["code"] == "query.invalid"
    assert '"blue paint' in answer.json()["detail"]
    assert "nothing closes the quote" in answer.json()["detail"]


def test_a_saved_query_is_asked_with_the_limit_of_the_request(site, erp):
    """What it says of how many are wanted is for people, who ask without parameters."""
    with site.app.ledger.transaction("bob") as recorder:
        saved.save(recorder, "first", ["partner=acme", "limit=2", "sort=oldest"])
    every = erp("GET", "/exchanges", 200, params={"q": "partner=acme sort=oldest", "limit": 500})
    theirs = [each["id"] for each in every["exchanges"]]
    page = erp("GET", "/exchanges", 200, params={"q": "@first", "limit": 3})
    assert [each["id"] for each in page["exchanges"]] == theirs[:3]
    rest = erp("GET", "/exchanges", 200, params={"q": "@first", "limit": 500, "before": page["next"]})
    assert [each["id"] for each in rest["exchanges"]] == theirs[3:]
    assert erp("GET", "/exchanges/count", 200, params={"q": "@first"})["count"] == len(theirs)


def test_a_report_takes_saved_queries_too(site, erp):
    with site.app.ledger.transaction("bob") as recorder:
        saved.save(recorder, "theirs", ["partner=acme", "since=2020"])
    asked = {"q": "partner=acme since=2020"}, {"q": "@theirs"}
    said, meant = (erp("GET", "/reports/volumes", 200, params=each)["total"] for each in asked)
    assert said == meant
    assert said["interchanges"] == len(numbers(site, partner="acme"))


def test_a_parameter_twice_is_refused(erp):
    assert "stands there twice" in erp("GET", "/exchanges?limit=1&limit=2", 400)["detail"]


def test_an_exchange_is_told_with_its_timeline_and_segments(site, erp):
    number = numbers(site, partner="acme", direction="in")[0]
    told = erp("GET", f"/exchanges/{number}", 200)
    assert (told["id"], told["partner"], told["sets"]) == (number, "acme", 1)
    timeline = erp("GET", f"/exchanges/{number}/timeline", 200)
    assert [each["kind"] for each in timeline["events"]] == [each["kind"] for each in told["events"]]
    page = erp("GET", f"/exchanges/{number}/segments", 200, params={"from": 1, "count": 3})
    assert [each["tag"] if "tag" in each else each["id"] for each in page["segments"]][:3] == ["ISA", "GS", "ST"]
    erp("GET", "/exchanges/999999", 404)
    erp("GET", "/exchanges/0", 400)
    erp("GET", "/exchanges/999999/segments", 404)


def test_raw_bytes_are_masked_unless_the_token_may_see_more_and_the_ledger_keeps_that(site, erp, program):
    """ISA02 and ISA04 are passwords."""
    number = numbers(site, partner="acme", direction="in")[0]
    masked = erp("GET", f"/exchanges/{number}/raw", 200)
    assert masked.content.startswith(b"ISA*00*")
    assert masked.headers["content-disposition"] == f'attachment; filename="exchange-{number}.edi"'
    assert events(site, "shown-unmasked") == []
    erp("GET", f"/exchanges/{number}/raw", 200, params={"unmasked": "true"})
    assert [(actor, what) for actor, what, _ in events(site, "shown-unmasked")] == [("token erp", number)]
    lower = program("download", name="lower")
    refused = lower("GET", f"/exchanges/{number}/raw", 403, params={"unmasked": "true"})
    assert refused["details"]["scope"] == "unmasked"
    answer = erp("GET", f"/exchanges/{number}/answer", 200)
    assert b"ST*997*" in answer.content
    erp("GET", f"/exchanges/{numbers(site, direction='out')[0]}/answer", 404)


def test_who_fetches_slowly_keeps_nothing_of_the_ledger_open(site, app, erp, monkeypatch):
    """The bytes are read before the first one goes out: a transaction would last as long as the download."""
    erp("GET", "/exchanges/count", 200)
    app.state.callers.close()  # that the token was used is written by now
    given, in_use = exchanges.download, []

    def looked(*args):
        answer = given(*args)
        in_use.append(site.app.home_engine.pool.checkedout())
        return answer

    monkeypatch.setattr(exchanges, "download", looked)
    number = numbers(site, partner="acme", direction="in")[0]
    for path in (f"/exchanges/{number}/raw", f"/exchanges/{number}/answer", "/mails/5/raw"):
        assert erp("GET", path, 200).content
    assert in_use == [0, 0, 0]


def test_mails_that_led_nowhere_are_found_and_told(erp):
    page = erp("GET", "/mails", 200)
    [mail] = page["mails"]
    assert (mail["state"], page["next"]) == ("quarantined", None)
    told = erp("GET", f"/mails/{mail['id']}", 200)
    assert told["fault_code"] == mail["fault_code"]
    assert b"Subject: Order PO-1007" in erp("GET", f"/mails/{mail['id']}/raw", 200).content
    erp("GET", "/mails/99999", 404)


# ---------------------------------------------------------------- documents


def test_a_document_is_masked_as_its_interchange_is(site, program, monkeypatch):
    """It stands in the envelope in which it came, with its ISA."""
    made, secret = documents.document, b"ISA*01*OPENSESAME*00*          *"

    def with_secret(*args):
        found = made(*args)
        return replace(found, data=found.data.replace(b"ISA*00*          *00*          *", secret, 1))

    monkeypatch.setattr(documents, "document", with_secret)
    number = numbers(site, partner="acme", direction="in")[0]
    lower, higher = program("download", "search", name="lower"), program("download", "unmasked", name="higher")
    [one] = lower("GET", f"/exchanges/{number}/documents", 200)["documents"]
    path = f"/exchanges/{number}/documents/{one['number']}"
    assert lower("GET", path, 200).content.startswith(b"ISA*01*XXXXXXXXXX*00*")
    lower("GET", path, 403, params={"unmasked": "true"})
    assert higher("GET", path, 200).content.startswith(b"ISA*01*XXXXXXXXXX*00*")
    assert events(site, "shown-unmasked") == []
    assert higher("GET", path, 200, params={"unmasked": "true"}).content.startswith(secret)
    assert [(actor, body["what"]) for actor, _, body in events(site, "shown-unmasked")] == [
        ("token higher", "a document")
    ]


def test_a_document_is_submitted_once_and_followed(site, erp):
    """The same key gives the same exchange; the submission is the token's."""
    key = {"Idempotency-Key": "INV-77001"}
    trial = erp("POST", "/documents?partner=globex&dry_run=true", 200, content=INVOICE, headers=key)
    assert (trial["dry_run"], trial["exchanges"]) == (True, [])
    before = numbers(site)
    done = erp("POST", "/documents?partner=globex&name=inv.edi", 201, content=INVOICE, headers=key)
    [number] = done["exchanges"]
    assert number not in before
    again = erp("POST", "/documents?partner=globex", 200, content=INVOICE, headers=key)
    assert (again["repeated"], again["exchanges"]) == (True, [number])
    told = erp("GET", f"/exchanges/{number}", 200)
    assert (told["state"], told["partner"], told["file_name"] != "") == ("ready", "globex", True)
    assert [actor for actor, what, _ in events(site, "submitted") if what == number] == ["token erp"]
    other = erp("POST", "/documents?partner=globex", 409, content=INVOICE.replace(b"77001", b"77002"), headers=key)
    assert other["code"] == "document.key-reused"


def test_a_key_that_went_as_a_test_is_refused_for_a_document_in_earnest(erp):
    """It is told, in place of the test's exchange as if that were the document; another key lets it go."""
    key = {"Idempotency-Key": "INV-77001"}

    def usage(word):
        read = erp("GET", "/partners/globex/profile", 200)
        text = read.text.replace('direction = "out"', f'direction = "out"\nenvelope.usage = "{word}"', 1)
        if word == "P":
            text = read.text.replace('usage = "T"', 'usage = "P"')
        erp("PUT", "/partners/globex/profile", 200, content=text, headers={"If-Match": read.headers["etag"]})

    usage("T")
    first = erp("POST", "/documents?partner=globex", 201, content=INVOICE, headers=key)
    assert first["states"] == ["ready"]
    usage("P")
    refused = erp("POST", "/documents?partner=globex", 409, content=INVOICE, headers=key)
    assert (refused["code"], refused["details"]["exchange"]) == ("document.key-reused", str(first["exchanges"][0]))
    assert "it went with ISA15 T" in refused["detail"]
    erp("POST", "/documents?partner=globex", 201, content=INVOICE, headers={"Idempotency-Key": "INV-77001-P"})


def test_many_requests_with_one_key_at_the_same_moment_are_one_document(site, erp):
    """Whoever was quicker, all are told the same exchange, and one number was used."""
    before = len(numbers(site))

    def ask(_):
        key = {"Idempotency-Key": "INV-77001"}
        answer = erp._client.post(f"{ROOT}/documents?partner=globex", content=INVOICE, headers=key)
        return answer.status_code, tuple(answer.json()["exchanges"])

    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(ask, range(6)))
    assert sorted(status for status, _ in told) == [200] * 5 + [201]
    assert len({exchanges for _, exchanges in told}) == 1
    assert len(numbers(site)) == before + 1


def test_without_a_key_the_content_decides(erp):
    """The very same bytes again are the same document, unless it is said that they are not."""
    first = erp("POST", "/documents?partner=globex", 201, content=INVOICE)
    assert erp("POST", "/documents?partner=globex", 200, content=INVOICE)["exchanges"] == first["exchanges"]
    assert erp("POST", "/documents?partner=globex&again=true", 201, content=INVOICE)["exchanges"] != first["exchanges"]


@pytest.mark.parametrize(
    ("query", "content", "status", "code"),
    [
        ("partner=nobody", INVOICE, 404, "partner.unknown"),
        ("partner=globex", b"", 400, "api.request-invalid"),
        ("partner=globex", b"hello", 422, "document.unreadable"),
        ("partner=globex", b"ST*850*0001~BEG*00*SA*1**20261128~SE*3*0001~", 422, "agreement.missing"),
        ("partner=globex", b"ST*810*0001~SE*2*0001~", 422, "document.invalid"),
        ("", INVOICE, 400, "api.request-invalid"),
        ("partner=globex&dryrun=true", INVOICE, 400, "api.request-invalid"),
        ("partner=globex&again=1", INVOICE, 400, "api.request-invalid"),
        ("partner=" + "g" * 100, INVOICE, 400, "api.request-invalid"),
    ],
)
def test_a_document_that_cannot_be_sent_uses_no_number(site, erp, query, content, status, code):
    before = numbers(site)
    assert erp("POST", f"/documents?{query}", status, content=content)["code"] == code
    assert numbers(site) == before


def test_a_document_that_is_too_large_is_not_taken(erp):
    refused = erp._client.post(f"{ROOT}/documents?partner=globex", content=b"x" * 1_100_000)
    assert (refused.status_code, refused.headers["content-type"]) == (413, "application/problem+json")


def test_a_batch_does_not_hold_up_submissions_but_a_restore_does(home, site, erp):
    """What is one transaction goes on beside a batch; nothing is written into a ledger that is being replaced."""
    with HomeLock(home, "gateway night"):
        erp("POST", "/documents?partner=globex", 201, content=INVOICE)
        busy = erp("POST", f"/exchanges/{numbers(site, state='overdue')[0]}/settle", 503, json={"why": "called"})
        assert busy["code"] == "home.in-use"
    with HomeLock(home, "gateway ledger"):
        refused = erp._client.post(f"{ROOT}/documents?partner=globex", content=INVOICE.replace(b"77001", b"77002"))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")


def test_many_submissions_wait_for_a_restore_no_longer_than_one(home, site, erp, monkeypatch):
    """Each used to wait for all before it, in a thread of those that show pages."""
    monkeypatch.setattr(site, "patience", 0.1)
    with ThreadPoolExecutor(1) as thread, acting._one_at_a_time:
        waiting = thread.submit(erp._client.post, f"{ROOT}/documents?partner=globex", content=INVOICE)
        try:
            refused = waiting.result(timeout=10)
        except TimeoutError:
            acting._one_at_a_time.release()
            waiting.result()
            acting._one_at_a_time.acquire()
            raise
    assert (refused.status_code, refused.json()["code"]) == (503, "home.in-use")
    assert "submissions that came before" in refused.json()["detail"]
    monkeypatch.undo()
    erp("POST", "/documents?partner=globex", 201, content=INVOICE)


def test_documents_that_came_are_fetched_as_they_were_delivered(home, site, erp):
    """The same bytes under the same name as in the inbox, with the key of that delivery."""
    number = numbers(site, partner="acme", direction="in", state="delivered")[0]
    listed = erp("GET", f"/exchanges/{number}/documents", 200)
    [one] = listed["documents"]
    assert (one["set"], one["delivery"], listed["next"]) == ("850", "delivered", None)
    answer = erp("GET", f"/exchanges/{number}/documents/{one['number']}", 200)
    file = Path(one["delivered_to"])
    assert answer.content == file.read_bytes()
    assert f'filename="{file.name}"' in answer.headers["content-disposition"]
    assert answer.headers["x-document-key"].endswith(f"/{one['group_control_number']}/{one['control_number']}")
    erp("GET", f"/exchanges/{number}/documents/999999", 404)
    out = numbers(site, direction="out")[0]
    erp("GET", f"/exchanges/{out}/documents", 404)
    erp("GET", f"/exchanges/{out}/documents/1", 404)


def test_a_document_that_was_rejected_is_not_given_to_the_business(site, erp):
    [number] = numbers(site, partner="acme", verdict="partially_accepted")
    listed = erp("GET", f"/exchanges/{number}/documents", 200)["documents"]
    states = {each["delivery"]: each["number"] for each in listed}
    erp("GET", f"/exchanges/{number}/documents/{states['delivered']}", 200)
    refused = erp("GET", f"/exchanges/{number}/documents/{next(v for k, v in states.items() if k != 'delivered')}", 409)
    assert refused["code"] == "not-allowed-now"
    page = erp("GET", f"/exchanges/{number}/documents", 200, params={"limit": 1})
    rest = erp("GET", f"/exchanges/{number}/documents", 200, params={"limit": 5, "after": page["next"]})
    assert [each["number"] for each in (*page["documents"], *rest["documents"])] == [each["number"] for each in listed]


# ---------------------------------------------------------------- acts


def test_acts_are_the_verbs_of_the_command_line_in_the_name_of_the_token(site, erp):
    """Each asks for a reason, may be tried dry, and says when it was done before."""
    [number] = numbers(site, state="overdue")
    erp("POST", f"/exchanges/{number}/settle", 400)
    for blank in ("", "  ", "\n\t", "\u00a0\u2003"):
        erp("POST", f"/exchanges/{number}/settle", 400, json={"why": blank})
    erp("POST", f"/exchanges/{number}/settle", 400, json={"why": "called", "dryrun": True})
    erp("POST", f"/exchanges/{number}/settle", 400, json={"why": "called", "dry_run": "yes"})
    erp("POST", f"/exchanges/{number}/settle", 400, json=["why"])
    erp("POST", f"/exchanges/{number}/settle", 400, content=b"{", headers={"content-type": "application/json"})
    erp("POST", f"/exchanges/{number}/settle", 400, data={"why": "a form"})
    trial = erp("POST", f"/exchanges/{number}/settle", 200, json={"why": "called", "dry_run": True})
    assert trial["dry_run"] is True
    assert events(site, "settled") == []
    assert erp("POST", f"/exchanges/{number}/settle", 200, json={"why": " called\n them "})["done"] is True
    assert erp("POST", f"/exchanges/{number}/settle", 200, json={"why": "called them"})["done"] is False
    [(actor, what, body)] = events(site, "settled")
    assert (actor, what, body["reason"]) == ("token erp", number, "called them")


def test_what_was_sent_is_sent_again_with_the_same_or_new_numbers(site, erp):
    number, other = numbers(site, state="acknowledged")[:2]
    assert erp("POST", f"/exchanges/{number}/resend", 200, json={"why": "lost"})["exchange"] == number
    anew = erp("POST", f"/exchanges/{other}/resend", 200, json={"why": "number taken", "new_number": True})
    assert anew["exchange"] not in {None, other}
    cancelled = erp("POST", f"/exchanges/{anew['exchange']}/cancel", 200, json={"why": "a mistake"})
    assert cancelled["done"] is True
    refused = erp("POST", f"/exchanges/{number}/resolve", 409, json={"why": "asked", "sent": True})
    assert "only one in doubt" in refused["detail"]
    erp("POST", f"/exchanges/{number}/resolve", 400, json={"why": "asked"})


def test_quarantine_is_released_and_discarded_by_reference(site, erp):
    [number] = numbers(site, state="quarantined")
    assert erp("POST", "/quarantine/m5/discard", 200, json={"why": "spam"})["done"] is True
    assert erp("POST", f"/quarantine/{number}/release", 200, json={"why": "profile added"})["done"] is True
    erp("POST", "/quarantine/x9/release", 400, json={"why": "no"})
    erp("POST", "/quarantine/m99999/release", 404, json={"why": "no"})
    received = numbers(site, partner="acme", direction="in", state="delivered")[0]
    assert erp("POST", f"/exchanges/{received}/redeliver", 200, json={"why": "disk lost"})["done"] is True
    erp("POST", f"/exchanges/{received}/accept", 409, json={"why": "no"})


# ---------------------------------------------------------------- partners


def test_a_profile_is_changed_from_the_revision_that_was_read(site, erp):
    """Two who change at once do not overwrite each other."""
    read = erp("GET", "/partners/globex/profile", 200)
    tag, text = read.headers["etag"], read.text
    assert erp("GET", "/partners/globex", 200)["revision"] == int(tag.strip('"'))
    changed = text.replace("Globex Foods", "Globex Foods & Sons")
    assert changed != text
    blind = erp("PUT", "/partners/globex/profile", 400, content=changed)
    assert blind["details"]["where"] == "If-Match"
    trial = erp("PUT", "/partners/globex/profile?dry_run=true", 200, content=changed, headers={"If-Match": tag})
    assert (trial["change"], trial["dry_run"]) == ("changed", True)
    assert erp("GET", "/partners/globex", 200)["name"] == "Globex Foods"
    done = erp("PUT", "/partners/globex/profile?why=%20renamed%20", 200, content=changed, headers={"If-Match": tag})
    assert (done["change"], done["status"]) == ("changed", "live")
    assert erp("GET", "/partners/globex", 200)["name"] == "Globex Foods & Sons"
    late = erp("PUT", "/partners/globex/profile", 412, content=text, headers={"If-Match": tag})
    assert late["code"] == "api.revision-differs"
    actor, _, body = events(site, "profile-applied")[-1]
    assert (actor, body["reason"]) == ("token erp", "renamed")


def test_a_partner_is_added_and_never_by_mistake(site, erp):
    text = erp("GET", "/partners/globex/profile", 200).text
    new = text.replace("globex", "hooli").replace("Globex Foods", "Hooli").replace("0700000000001", "0700000000002")
    added = erp("PUT", "/partners/hooli/profile", 201, content=new, headers={"If-None-Match": "*"})
    assert (added["change"], added["revision"]) == ("added", 1)
    again = erp("PUT", "/partners/hooli/profile", 412, content=new, headers={"If-None-Match": "*"})
    assert again["code"] == "api.revision-differs"
    assert {each["key"] for each in erp("GET", "/partners", 200)["partners"]} >= {"acme", "globex", "hooli"}


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "profile.invalid"),
        (b"\xff\xfe", 422, "profile.invalid"),
        (b"key = 1", 422, "profile.invalid"),
        (None, 400, "api.request-invalid"),  # of another partner
    ],
)
def test_a_profile_that_cannot_be_changes_nothing(site, erp, content, status, code):
    body = erp("GET", "/partners/acme/profile", 200).text.encode() if content is None else content
    head = erp("GET", "/partners/globex/profile", 200).headers["etag"]
    refused = erp("PUT", "/partners/globex/profile", status, content=body, headers={"If-Match": head})
    assert refused["code"] == code
    assert erp("GET", "/partners/globex/profile", 200).headers["etag"] == head
    erp("GET", "/partners/nobody", 404)
    erp("GET", "/partners/nobody/profile", 404)
    assert site.app.partners.get("globex").name == "Globex Foods"


# ---------------------------------------------------------------- reports


def test_status_volumes_and_statement_are_what_the_command_line_says(site, erp):
    standing = erp("GET", "/status", 200)
    assert {each["reference"] for each in standing["attention"]} >= {"m5"}
    assert standing["last_batch"]["id"] == 2
    rows = erp("GET", "/reports/volumes", 200, params={"q": "since=10d", "by": "partner"})["rows"]
    assert sum(each["interchanges"] for each in rows) > 10
    told = erp("GET", "/reports/statement", 200, params={"partner": "acme", "month": _month(site)})
    assert told["partner"] == "acme"
    erp("GET", "/reports/statement", 404, params={"partner": "nobody", "month": _month(site)})
    erp("GET", "/reports/statement", 400, params={"partner": "acme", "month": "soon"})
    erp("GET", "/reports/statement", 400, params={"partner": "acme", "month": "2026-13"})
    erp("GET", "/reports/volumes", 400, params={"by": "moon"})
    erp("GET", "/reports/volumes", 400, params={"q": "state=rejected"})


def _month(site):
    from datetime import UTC, datetime

    return datetime.fromtimestamp(site.clock() / 1000, UTC).strftime("%Y-%m")


# ---------------------------------------------------------------- the token of one partner


def test_the_token_of_one_partner_sees_nothing_of_others(site, acme):
    """Neither by searching, nor by numbers, nor in sums; and others' are as if they were not there."""
    for words in ("", "partner=globex", "partner=acme,globex", "-partner=acme"):
        found = acme("GET", "/exchanges", 200, params={"q": words, "limit": 500})["exchanges"]
        assert {each["partner"] for each in found} <= {"acme"}, words
    assert acme("GET", "/exchanges/count", 200)["count"] == len(numbers(site, partner="acme"))
    theirs = numbers(site, partner="globex")[0]
    stranger = numbers(site, partner="")[0]
    for number in (theirs, stranger):
        for path in ("", "/timeline", "/segments", "/raw", "/answer", "/documents", "/documents/1"):
            acme("GET", f"/exchanges/{number}{path}", 404)
        for verb, body in (("resend", {}), ("cancel", {}), ("settle", {}), ("resolve", {"sent": True}), ("accept", {})):
            acme("POST", f"/exchanges/{number}/{verb}", 404, json={"why": "curious"} | body)
        acme("POST", f"/quarantine/{number}/release", 404, json={"why": "curious"})
    assert [each["key"] for each in acme("GET", "/partners", 200)["partners"]] == ["acme"]
    acme("GET", "/partners/globex", 404)
    acme("GET", "/partners/globex/profile", 404)
    acme("POST", "/documents?partner=globex", 404, content=INVOICE)
    assert {each["partner"] for each in acme("GET", "/status", 200)["attention"]} <= {"acme"}
    assert set(acme("GET", "/status", 200)) == {"attention", "left_out"}
    acme("GET", "/reports/statement", 404, params={"partner": "globex", "month": _month(site)})
    acme("GET", "/reports/volumes", 404, params={"q": "partner=globex"})
    rows = acme("GET", "/reports/volumes", 200, params={"by": "partner", "q": "since=10d"})["rows"]
    assert {each["partner"] for each in rows} == {"acme"}


def test_the_token_of_one_partner_hears_of_its_own_however_much_others_have(site, erp, program, monkeypatch):
    """What needs a person is told up to a bound, which must not be that of all partners together."""
    everything = [each["partner"] for each in erp("GET", "/status", 200)["attention"]]
    last = next(each for each in reversed(everything) if each not in {"", everything[0]})
    theirs = program("search", partner=last, name="theirs")
    assert len(theirs("GET", "/status", 200)["attention"]) == everything.count(last)
    monkeypatch.setattr(reports, "_NEEDS", 1)
    assert [each["partner"] for each in theirs("GET", "/status", 200)["attention"]] == [last]


def test_the_token_of_one_partner_does_its_own_work(site, acme):
    number = numbers(site, partner="acme", direction="in")[0]
    acme("GET", f"/exchanges/{number}", 200)
    assert acme("GET", "/partners/acme", 200)["key"] == "acme"
    assert (
        acme("GET", "/reports/statement", 200, params={"partner": "acme", "month": _month(site)})["partner"] == "acme"
    )
    mine = acme("GET", "/mails", 200)["mails"]
    assert all(each["partner"] == "acme" for each in mine)


def test_what_is_not_there_is_a_problem_too(erp):
    """Programs get no page."""
    for method in ("GET", "POST", "DELETE"):
        answer = erp._client.request(method, "/api/v1/nothing")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert erp._client.delete(f"{ROOT}/exchanges").status_code in {404, 405}


def test_the_ledger_still_verifies_after_all_of_it(home, erp):
    """What programs do is recorded like everything else."""
    from click.testing import CliRunner

    from gateway.cli.main import root

    erp("POST", "/documents?partner=globex", 201, content=INVOICE)
    with open_app(home) as app:
        app.ledger.record("batch-asked", reason="test")
    outcome = CliRunner().invoke(root, ["--home", str(home), "ledger", "verify"])
    assert outcome.exit_code == 0, outcome.output


def test_more_than_an_act_or_a_profile_needs_is_not_read(site, erp):
    """Documents alone may be large."""
    why = {"why": "x" * 200_000}
    assert "more than 100,000 bytes" in erp("POST", "/exchanges/1/settle", 400, json=why)["detail"]
    assert erp("POST", "/exchanges/1/settle", 400, json={"why": "x" * 600})["details"]["where"] == "why"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
@pytest.mark.parametrize(
    ("number", "key", "text"), [(10**18, "nobody", "'; DROP TABLE exchange--"), (1, "acme", "\u202e\ud7ff*?%_")]
)
def test_what_is_at_its_bounds_or_odd_is_answered_in_order(erp, operation, number, key, text):
    """Never with a defect (the client would raise it), and always as the description says."""
    path = operation.path.format(number=number, key=key, reference=f"m{number}", document=number)
    asked = {}
    for each in operation.parameters:
        if each.where == "query":
            kind = each.schema["type"]
            asked[each.name] = (
                "false" if kind == "boolean" else each.schema.get("maximum", 1) if kind == "integer" else text
            )
    answer = erp._client.request(operation.method, ROOT + path, params=asked, content=text.encode())
    assert answer.status_code in {200, 400, 404, 409, 410, 412, 422}, answer.text
    erp._check(operation.method, path, answer)
