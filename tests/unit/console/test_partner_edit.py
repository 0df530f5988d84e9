"""Profiles as text: wrong ones are told at line and key, changes are compared before they are applied."""

from __future__ import annotations

import html
import re
from contextlib import contextmanager

import pytest
from builders.console import HOSTILE, SHOWN, post, said, told

from gateway.app import open_app
from gateway.console.differences import differences
from gateway.console.people import Role
from gateway.console.saying import SAY_WHY
from gateway.console.site import Site

NEW = """# ours since the fair
key = "zeta"          # for ever
name = "Zeta"
addresses = ["edi@zeta.example"]
identities = ["ZZ:ZETA"]

[[agreement]]
direction = "in"
sets = ["850"]
"""


def text_on(page: str) -> str:
    """The profile in the text area."""
    found = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    assert found
    return html.unescape(found[1])


def test_the_text_that_is_edited_is_the_stored_one(browser, home):
    """Comments and blanks are there as they were applied."""
    with open_app(home) as app:
        stored = app.partners.text("acme")
    assert text_on(browser(Role.ADMINISTRATOR).get("/partners/acme/edit").text) == stored


def test_a_change_is_compared_and_then_applied_with_its_comments(browser, home):
    """First what would be different, and nothing changes; then the revision, its event and its reason."""
    client = browser(Role.ADMINISTRATOR)
    changed = text_on(client.get("/partners/acme/edit").text).replace("ACME Retail", "ACME & Sons") + "# <b>noted</b>\n"
    form = {"profile": changed.replace("\n", "\r\n"), "base": "1", "do": "compare"}
    compared = post(client, "/partners/acme/edit", **form)
    assert compared.status_code == 200
    assert '<tr class="added">' in compared.text
    assert "ACME &amp; Sons" in compared.text
    assert "<b>noted" not in compared.text
    assert len(told(home, "profile-applied")) == 4
    answer = post(client, "/partners/acme/edit", **form | {"do": "apply", "why": "they merged"})
    assert "was changed" in said(client, answer)
    event = told(home, "profile-applied")[0]
    assert (event.actor, event.body["reason"], event.body["revision"]) == ("administrator@example", "they merged", 2)
    with open_app(home) as app:
        assert app.partners.text("acme") == changed
    page = client.get("/partners/acme/revisions").text
    assert "they merged" in page
    assert '<tr class="removed">' in page


def test_applying_without_a_reason_only_compares_and_says_so(browser, home):
    """Why is asked for, as everywhere; what is different stays on the page."""
    client = browser(Role.ADMINISTRATOR)
    changed = text_on(client.get("/partners/acme/edit").text).replace("ACME Retail", "ACME Sons")
    answer = post(client, "/partners/acme/edit", profile=changed, base="1", do="apply", why=" ")
    assert answer.status_code == 422
    assert f"<strong>Nothing was changed.</strong> {SAY_WHY}" in answer.text
    assert '<tr class="added">' in answer.text
    with open_app(home) as app:
        assert len(app.partners.revisions("acme")) == 1


def test_a_change_of_words_alone_makes_no_revision(browser, home):
    """What says the same is told to say the same."""
    client = browser(Role.ADMINISTRATOR)
    changed = "# a comment\n" + text_on(client.get("/partners/acme/edit").text)
    page = post(client, "/partners/acme/edit", profile=changed, base="1", do="compare").text
    assert "applying it changes nothing" in page
    answer = post(client, "/partners/acme/edit", profile=changed, base="1", do="apply", why="x")
    assert "nothing was changed" in said(client, answer)
    with open_app(home) as app:
        assert len(app.partners.revisions("acme")) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "key"),
        ("not toml", "line 1"),
        (NEW.replace("[[agreement]]", "[[agrement]]"), "did you mean agreement?"),
        (NEW.replace('"in"', '"inn"'), "line 8"),
        (NEW.replace("ZZ:ZETA", "ZETA"), "line 5, <code>identities[0]</code>"),
        (NEW.replace("ZZ:ZETA", "ZZ:ACMERETAIL"), "ZZ:ACMERETAIL"),
        (NEW.replace("ZZ:ZETA", "ZZ:EXAMPLECO"), "our own settings"),
        (NEW.replace('"zeta" ', '"acme" '), "there is a partner acme already"),
        (NEW + 'guideline = "none.toml"\n', "there is no file"),
        (NEW.replace("Zeta", HOSTILE.replace('"', "'")).replace("[[", "[["), "zeta"),
        ("a = [" * 5000, "line"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_added(browser, home, text, sentence):
    """Line, key and what is allowed; the text stays in the form, to be corrected."""
    client = browser(Role.ADMINISTRATOR)
    page = post(client, "/partners/new", profile=text, do="compare")
    assert sentence in html.unescape(page.text).replace("&lt;", "<") or sentence in page.text
    assert HOSTILE not in page.text
    with open_app(home) as app:
        assert len(app.partners.heads()) == 4


def test_a_wrong_text_answers_with_a_client_error_and_keeps_it(browser):
    """Nobody has to write it again."""
    page = post(
        browser(Role.ADMINISTRATOR), "/partners/new", profile=NEW + "nonsense = 1 # mine\n", do="apply", why="x"
    )
    assert page.status_code == 422
    assert "nonsense = 1 # mine" in text_on(page.text)
    assert "Nothing was changed" in page.text


def test_a_new_partner_is_added_as_a_draft(browser, home):
    """Compared first, then added with its reason."""
    client = browser(Role.ADMINISTRATOR)
    assert "Add as a draft" in post(client, "/partners/new", profile=NEW, do="compare").text
    answer = post(client, "/partners/new", profile=NEW, do="apply", why="met at the fair")
    assert answer.headers["location"] == "/partners/zeta"
    assert "was added" in said(client, answer)
    with open_app(home) as app:
        assert app.partners.get("zeta").status == "draft"
        assert "# ours since the fair" in app.partners.text("zeta")


def test_the_key_of_a_partner_stays(browser, home):
    """A profile under another key would be another partner."""
    client = browser(Role.ADMINISTRATOR)
    changed = text_on(client.get("/partners/acme/edit").text).replace('key = "acme"', 'key = "acme2"')
    page = post(client, "/partners/acme/edit", profile=changed, base="1", do="apply", why="x")
    assert page.status_code == 422
    assert "names the partner in the ledger for ever" in page.text
    with open_app(home) as app:
        assert len(app.partners.heads()) == 4


def test_two_people_who_edit_at_once_do_not_overwrite_each_other(browser, home):
    """Whoever is second sees that, with the differences, and applies again knowingly."""
    client = browser(Role.ADMINISTRATOR)
    text = text_on(client.get("/partners/acme/edit").text)
    first, second = text.replace("ACME Retail", "First"), text.replace("ACME Retail", "Second")
    post(client, "/partners/acme/edit", profile=first, base="1", do="apply", why="one")
    page = post(client, "/partners/acme/edit", profile=second, base="1", do="apply", why="two").text
    assert "Somebody applied revision 2 while you were writing" in page
    assert "First" in page
    with open_app(home) as app:
        assert app.partners.get("acme").name == "First"
    base = re.search(r'name="base" value="(\d+)"', page)
    assert base
    post(client, "/partners/acme/edit", profile=second, base=base[1], do="apply", why="two")
    with open_app(home) as app:
        assert app.partners.get("acme").name == "Second"


def test_a_profile_is_learned_from_a_mail_in_quarantine(browser):
    """What a stranger's mail tells is proposed, each line with its source, and nothing is applied."""
    page = browser(Role.ADMINISTRATOR).get("/partners/new?mail=m7")
    assert 'addresses = ["sales@stranger.example"]' in text_on(page.text)
    assert "from ISA05 and ISA06 in mail m7" in text_on(page.text)
    assert "Learned from mail" in page.text
    assert text_on(browser(Role.ADMINISTRATOR).get("/partners/new?mail=13").text) == text_on(page.text)


@pytest.mark.parametrize("mail", ["/etc/passwd", "m999", "999", "m1.eml", "..", "m" * 50])
def test_only_mails_of_the_ledger_are_learned_from(browser, mail):
    """Neither files nor mails that are not there."""
    answer = browser(Role.ADMINISTRATOR).get("/partners/new", params={"mail": mail})
    assert answer.status_code == 404
    assert "root:" not in answer.text


def test_what_quarantine_asks_for_is_written_into_the_text(browser):
    """An address that is not known stands in the list already, and is still compared and applied by a person."""
    page = browser(Role.ADMINISTRATOR).get("/partners/acme/edit", params={"address": f'x"{HOSTILE}@acme.example'})
    assert SHOWN.split("(", 1)[0] in page.text
    assert HOSTILE not in page.text
    plain = browser(Role.ADMINISTRATOR).get("/partners/acme/edit?address=new@acme.example").text
    assert '"new@acme.example"]' in text_on(plain)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR, Role.OPERATOR])
def test_only_administrators_edit(browser, role):
    """The pages and forms are refused, and no page shows a way to them."""
    client = browser(role)
    assert client.get("/partners/acme/edit").status_code == 403
    assert client.get("/partners/new").status_code == 403
    assert post(client, "/partners/new", profile=NEW, do="apply", why="x").status_code == 403
    assert "/partners/acme/edit" not in client.get("/partners/acme").text
    assert "/partners/new" not in client.get("/partners").text


def test_the_profile_is_downloaded_as_it_was_applied(browser, home):
    """Any revision, byte for byte."""
    with open_app(home) as app:
        stored = app.partners.text("acme")
    answer = browser(Role.VIEWER).get("/partners/acme/profile.toml?revision=1")
    assert answer.text == stored
    assert answer.headers["content-type"].startswith("text/plain")


def test_differences_name_what_was_added_removed_and_left_out():
    """Lines around each place are shown, the rest is counted."""
    before = "".join(f"line {number}\n" for number in range(40))
    after = before.replace("line 20\n", "line twenty\nline more\n")
    lines = differences(before, after)
    assert [(each.kind, each.text) for each in lines if each.kind != "same"] == [
        ("between", "17 lines the same"),
        ("removed", "line 20"),
        ("added", "line twenty"),
        ("added", "line more"),
        ("between", "16 lines the same"),
    ]
    assert [each.after for each in lines if each.kind == "added"] == [21, 22]
    assert differences(before, before) == ()


def test_texts_that_are_too_long_are_not_compared_line_by_line():
    """A page must not take minutes: then it says so."""
    long = "x\n" * 30_000
    (line,) = differences(long, f"{long}y\n")
    assert "too long to be compared" in line.text
    assert differences(long, long) == ()


def test_what_another_administrator_applies_in_the_same_moment_is_not_undone(browser, home, monkeypatch):
    """Between the look and the change somebody else was quicker: it is said, and shown what is different now."""
    client = browser(Role.ADMINISTRATOR)
    before = text_on(client.get("/partners/acme/edit").text)
    form = {"base": "1", "do": "apply", "why": "it moved"}
    acting = Site.acting

    @contextmanager
    def later(self, who, **more):
        monkeypatch.setattr(Site, "acting", acting)
        quicker = form | {"profile": before.replace("ACME Retail", "ACME Quick")}
        assert post(client, "/partners/acme/edit", **quicker).status_code == 303
        with acting(self, who, **more) as app:
            yield app

    monkeypatch.setattr(Site, "acting", later)
    answer = post(client, "/partners/acme/edit", **form | {"profile": before.replace("ACME Retail", "ACME Slow")})
    assert "Somebody applied revision 2 while you were writing" in answer.text
    assert "ACME Quick" in answer.text
    assert 'name="base" value="2"' in answer.text
    with open_app(home) as app:
        assert [each.revision for each in app.partners.revisions("acme")] == [1, 2]
        assert app.partners.get("acme").name == "ACME Quick"
