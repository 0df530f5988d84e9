"""The documents say what is true: links lead somewhere, commands exist, generated pages are what the code says now."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from builders.script import load

from gateway.cli.main import root
from gateway.errors import all_faults
from gateway.flow.inbound import POISON
from gateway.ledger.states import EXCHANGE_MEANING, MESSAGE_MEANING, ExchangeState, MessageState

TOP = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md"), *(TOP / "samples").rglob("*.md")],
    key=lambda page: page.relative_to(TOP).as_posix(),
)
GENERATED = ("faults.md", "states.md", "templates.md", "commands.md", "doctor.md", "metrics.md", "api.md")


def name_of(page: Path) -> str:
    return page.relative_to(TOP).as_posix()


@pytest.fixture(scope="module")
def reference():
    return load("tools/generate_reference.py")


# ---------------------------------------------------------------- links


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_or_heading(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        wanted = (page.parent / path).resolve() if path else page
        assert wanted.exists(), f"{name_of(page)} links to {target}"
        if anchor:
            assert anchor in anchors(wanted), f"{name_of(page)} links to {target}"


def test_every_document_can_be_reached_from_the_readme():
    seen: set[Path] = set()
    waiting = [TOP / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        waiting += [(page.parent / each).resolve() for each in links if "://" not in each]
    assert [name_of(page) for page in PAGES if page not in seen] == []


# ---------------------------------------------------------------- generated pages


def test_the_generated_pages_are_what_the_code_says_now():
    # In a process of its own: click remembers on a command which help options it was first asked with.
    check = [sys.executable, str(TOP / "tools" / "generate_reference.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run `make reference`: {done.stdout}{done.stderr}"


def test_every_generated_page_is_tested(reference):
    assert set(reference.PAGES) == set(GENERATED)


def test_no_help_text_shows_a_formatting_mark():
    """click's mark for "keep these lines" is the character \\b, which a raw docstring does not hold."""
    page = (TOP / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert "\\b" not in page


def test_every_fault_has_a_code_of_its_own_and_stands_in_the_reference():
    page = (TOP / "docs" / "reference" / "faults.md").read_text(encoding="utf-8")
    codes = [fault.code for fault in all_faults()]
    assert len(codes) == len(set(codes))
    assert [code for code in codes if f"### `{code}`\n" not in page] == []


def test_every_state_has_a_meaning():
    assert set(MESSAGE_MEANING) == set(MessageState)
    assert set(EXCHANGE_MEANING) == set(ExchangeState)


def test_a_page_out_of_date_is_noticed(reference, tmp_path):
    for page, write in reference.PAGES.items():
        (tmp_path / page).write_text(write(), encoding="utf-8")
    (tmp_path / "states.md").write_text("something else", encoding="utf-8")
    (tmp_path / "faults.md").unlink()
    assert sorted(reference.outdated(tmp_path)) == ["faults.md", "states.md"]


# ---------------------------------------------------------------- commands


def walk(words: list[str]) -> tuple[click.Command, list[str]]:
    """The deepest command that ``words`` (without ``gateway``) name, and what is left of them."""
    command: click.Command = root
    rest = list(words)
    while isinstance(command, click.Group) and rest:
        if rest[0] == "--home":
            rest = rest[2:]
            continue
        found = command.get_command(click.Context(command), rest[0])
        if found is None:
            break
        command, rest = found, rest[1:]
    return command, rest


def mentions(text: str) -> list[str]:
    """Commands in code spans: `gateway …`."""
    return re.findall(r"`gateway ([^`\n]+)`", text)


def check_mention(mention: str, where: str) -> None:
    # `gateway x12 check|show|ack` names several commands at once
    first = re.sub(r"([a-z0-9-]+)(?:\|[a-z0-9-]+)+", r"\1", mention)
    command, rest = walk([word for word in first.split() if word != "…"])
    assert not isinstance(command, click.Group) or not rest or rest[0].startswith("-"), (
        f"{where}: there is no command `gateway {mention}`"
    )
    check_options(command, rest, f"{where}: `gateway {mention}`")


def check_options(command: click.Command, words: list[str], where: str) -> None:
    context = click.Context(command)
    known = {
        name for each in (*command.get_params(context), *root.params) for name in (*each.opts, *each.secondary_opts)
    }
    # Where a word of a query may begin with a minus, only what begins with two is an option.
    mark = "--" if command.context_settings.get("ignore_unknown_options") else "-"
    unknown = [word for word in words if word.startswith(mark) and word != "-" and word.split("=")[0] not in known]
    assert unknown == [], f"{where} has no option {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_named_in_the_text_exist(page):
    for mention in mentions(page.read_text(encoding="utf-8")):
        check_mention(mention, name_of(page))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_examples_exist_with_their_options(page):
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"```(?:sh|console)\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"\s(?:&&|\|)\s", line.removeprefix("$ ")):
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words = words[1:]
                if words[:1] != ["gateway"]:
                    continue
                command, rest = walk(words[1:])
                assert not isinstance(command, click.Group) or not rest or rest[0].startswith("-"), (
                    f"{name_of(page)}: {line}"
                )
                check_options(command, rest, f"{name_of(page)}: {line}")


@pytest.mark.parametrize("fault", all_faults(), ids=lambda fault: fault.code)
def test_the_advice_of_a_fault_names_commands_and_documents_that_exist(fault):
    for mention in mentions(re.sub(r"\{[a-z_]+\}", "NAME", fault.advice)):
        check_mention(mention, fault.code)
    for document in re.findall(r"docs/[\w/.-]+\.md", fault.advice):
        assert (TOP / document).exists(), f"{fault.code} names {document}"


# ---------------------------------------------------------------- templates, make, CI, units


def test_templates_are_documented_and_allowed_in_profiles(reference):
    from partners.profile_values import TEMPLATE_NAMES

    assert set(reference.TEMPLATE_MEANING) == set(TEMPLATE_NAMES)


def test_the_two_commands_of_the_readme_are_targets_and_ci_calls_them():
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    makefile = (TOP / "Makefile").read_text(encoding="utf-8")
    ci = (TOP / ".ci" / "run").read_text(encoding="utf-8")
    for target in ("demo", "test"):
        assert f"make {target}" in readme
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
        assert f"make {target}" in ci


@pytest.mark.parametrize("unit", ["gateway.service", "gateway-night.service", "crontab.example"])
def test_units_call_commands_that_exist(unit):
    text = (TOP / "deploy" / unit).read_text(encoding="utf-8")
    called = re.findall(r"/bin/gateway (.+)$", text, flags=re.MULTILINE)
    assert called
    for words in called:
        check_mention(words, unit)


@pytest.mark.parametrize("listing", ["run.txt", "dev.txt", "build.txt"])
def test_requirements_are_pinned_with_hashes_and_name_no_address(listing):
    text = (TOP / "requirements" / listing).read_text(encoding="utf-8")
    entries = [each for each in re.split(r"\n(?! )", text.strip()) if not each.startswith("#")]
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+ .*\\\n +--hash=sha256:[0-9a-f]{64}", entry, re.DOTALL), entry
    assert "://" not in text
    assert not re.search(r"^\s*#|--(index-url|extra-index-url|find-links|trusted-host)", text, re.MULTILINE)


def test_every_dependency_is_pinned():
    import tomllib

    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = {
        listing: {
            line.split("==")[0].split("[")[0]
            for line in (TOP / "requirements" / f"{listing}.txt").read_text(encoding="utf-8").splitlines()
            if "==" in line
        }
        for listing in ("run", "dev", "build")
    }

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[\[<>=!~ ;]", each)[0].lower() for each in requirements}

    assert names(project["project"]["dependencies"]) <= pinned["run"] <= pinned["dev"]
    assert names(project["project"]["optional-dependencies"]["dev"]) <= pinned["dev"]
    assert names(project["build-system"]["requires"]) <= pinned["build"]


@pytest.mark.parametrize("page", ["architecture.md", "security.md"])
def test_pages_say_after_how_many_attempts_a_message_that_kills_is_put_aside(page):
    words = {3: "three", 4: "four", 5: "five", 6: "six"}
    assert f"put aside after {words[POISON]} attempts" in (TOP / "docs" / page).read_text()
