"""Commands that run for long write their log: where it is on standard error every line there is one of it."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from servers import need

from gateway.cli import serve
from gateway.cli.main import main
from gateway.cli.worker import _Worker
from gateway.errors import MailboxUnavailable, unexpected
from gateway.flow import night
from gateway.flow.log import Log, logging_to
from gateway.jobs import watch
from gateway.settings import LogSettings

SETTINGS = '[gateway]\nname = "x"\ndomain = "x.example"\nidentities = ["ZZ:X"]\n'


FULL = Path("/dev/full")
COMMAND = (sys.executable, "-c", "from gateway.cli import main; main()")


def gateway(home, *words):
    call = [*COMMAND, "--home", str(home), *words]
    return subprocess.run(call, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def home(tmp_path):
    done = gateway(tmp_path / "home", "init", "--name", "X", "--domain", "edi.x.example", "--identity", "ZZ:XCO")
    assert done.returncode == 0, done.stderr
    return tmp_path / "home"


def write(home, text):
    with (home / "gateway.toml").open("a", encoding="utf-8") as file:
        file.write(text)


@pytest.mark.parametrize("words", [("night",), ("serve", "--once")], ids=" ".join)
def test_every_line_on_standard_error_is_json_where_the_log_is_there(home, words):
    """A mailbox that is away is trouble, in the form that was asked for."""
    write(home, '[log]\nformat = "json"\n[mailbox.gone]\nprotocol = "maildir"\npath = "/nonexistent/maildir"\n')
    done = gateway(home, *words)
    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert [each["what"] for each in found if each["what"].startswith("batch")] == ["batch begun", "batch ended"]
    trouble = [each for each in found if each["what"] == "trouble"]
    assert [(each["where"], each["batch"]) for each in trouble] == [("mailbox gone", 1)]


def test_a_log_in_a_file_leaves_the_screen_as_it_was(home):
    """People read words, and the file has the lines."""
    write(home, '[log]\nfile = "gateway.log"\n')
    done = gateway(home, "serve", "--once")
    assert "serving" in done.stderr
    assert "batch 1: " in done.stderr
    lines = (home / "gateway.log").read_text().splitlines()
    assert any("batch ended" in line for line in lines)
    assert oct((home / "gateway.log").stat().st_mode)[-1] in "04"


@pytest.fixture
def full():
    """A disk that is always full."""
    if not FULL.exists():
        need.absent("there is no /dev/full")
    with FULL.open("w") as stream:
        yield stream


@pytest.mark.parametrize("table", ["", '[log]\nfile = "gateway.log"\n', '[log]\nformat = "json"\n'])
@pytest.mark.parametrize("words", [("night",), ("serve", "--once")], ids=" ".join)
def test_debug_shows_the_traceback_of_a_step_that_met_a_defect(home, words, table, monkeypatch, capsys):
    """The step is reported and the others run; whoever is sent here must see where it broke, wherever the log goes."""

    def broken(context):
        raise RuntimeError("a defect")

    write(home, table)
    monkeypatch.setattr(night, "STEPS", (("submit", broken),))
    for debug in ((), ("--debug",)):
        with pytest.raises(SystemExit) as ended:
            main([*debug, "--home", str(home), *words])
        said = capsys.readouterr().err
        assert ended.value.code == 1
        assert ("in broken\n" in said) == bool(debug)
    if "file" in table:
        assert " broken < gateway/flow/night.py:" in (home / "gateway.log").read_text()


@pytest.mark.parametrize("debug", [False, True])
def test_debug_shows_the_traceback_of_what_the_watch_of_a_mailbox_met(home, debug, monkeypatch, capsys):
    """It is met in a thread of its own."""

    class Broken:
        def __init__(self, say):
            self._thread = threading.Thread(target=say, args=("orders", defect()))

        def keep(self, watched):
            pass

        def close(self):
            self._thread.start()
            self._thread.join()

    monkeypatch.setattr(watch, "Watches", Broken)
    with pytest.raises(SystemExit):
        main([*["--debug"] * debug, "--home", str(home), "serve", "--once"])
    assert ("in defect\n" in capsys.readouterr().err) == debug


def defect():
    try:
        int("a defect")
    except ValueError as problem:
        return unexpected("the watch", problem)


def test_a_log_that_cannot_be_written_ends_a_night_and_names_the_key(home):
    """The configuration is wrong, and somebody should know before the night."""
    write(home, '[log]\nfile = "gateway.toml/x.log"\n')
    done = gateway(home, "night")
    assert done.returncode == 78
    lines = (home / "gateway.toml").read_text().splitlines()
    line = 1 + next(at for at, each in enumerate(lines) if each.startswith("file = "))
    assert f"{home / 'gateway.toml'}, line {line}, key log.file: " in done.stderr


@pytest.mark.parametrize("table", ["", '[log]\nformat = "json"\n'])
def test_a_full_disk_under_standard_error_takes_lines_and_nothing_else(home, full, table):
    """The batch does its work, says so on standard output, and ends as it would have."""
    write(home, table + '[mailbox.gone]\nprotocol = "maildir"\npath = "/nonexistent/maildir"\n')
    done = subprocess.run(
        [*COMMAND, "--home", str(home), "night"],
        stdout=subprocess.PIPE,
        stderr=full,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 69
    assert done.stdout.startswith("Batch 1, ")


@pytest.mark.parametrize(
    "words", [("night",), ("night", "--json"), ("status",), ("x12", "sets"), ("doctor", "--offline", "--json")]
)
def test_a_full_disk_under_standard_output_is_told_in_a_sentence(home, full, words):
    """Whoever reads the output knows by the code that some of it is missing; a batch has done its work."""
    done = subprocess.run(
        [*COMMAND, "--home", str(home), *words],
        stdout=full,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 69
    assert "Standard output cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_service_goes_on_when_its_log_cannot_be_written_any_more(tmp_path, capsys):
    """What it has to say is said on the screen."""
    (tmp_path / "gateway.toml").write_text(SETTINGS + '[log]\nfile = "gateway.toml/x.log"\n')
    serve._tell(tmp_path, "hello")
    serve._say(tmp_path, False, "orders", MailboxUnavailable(mailbox="orders", host="h", reason="down"))
    said = capsys.readouterr().err
    assert "hello" in said
    assert "mailbox orders is not watched for now:" in said
    assert "down" in said


def test_a_worker_tells_jobs_and_trouble_as_lines(capsys):
    """With the log on standard error there are no other lines; else there are words."""
    app = SimpleNamespace(now=lambda: 0)
    fault = MailboxUnavailable(mailbox="orders", host="h", reason="down")
    with logging_to(LogSettings("json")) as log:
        worker = _Worker(app, None, log, as_json=False)
        worker._say("job", {"job": "collect", "about": "orders", "seconds": 0.5, "counts": {"collected": 2}})
        worker._trouble("mailbox orders", fault)
    job, trouble = map(json.loads, capsys.readouterr().err.splitlines())
    assert (job["what"], job["told"], job["job"], job["about"]) == ("worker", "job", "collect", "orders")
    assert (trouble["what"], trouble["fault"]) == ("trouble", "mailbox.unavailable")
    with logging_to(None) as log:
        assert isinstance(log, Log)
        worker = _Worker(app, None, log, as_json=False)
        worker._say("job", {"job": "collect", "about": "orders", "seconds": 0.5, "counts": {"collected": 2}})
        worker._trouble("mailbox orders", fault)
    said = capsys.readouterr().err
    assert "collect orders: 2 collected" in said
    assert "mailbox.unavailable" in said


def test_the_batches_of_a_test_that_is_waited_for_are_logged(home):
    """They are batches like any other, and nobody should miss one in the log."""
    profile = 'key = "acme"\nname = "A"\nstatus = "testing"\naddresses = ["a@acme.example"]\nidentities = ["ZZ:ACME"]\n'
    (home / "acme.toml").write_text(
        profile + '[[agreement]]\ndirection = "out"\nsets = ["810"]\nversions = ["004010"]\n'
    )
    smtp = '[smtp]\nhost = "127.0.0.1"\nport = 9\nsecurity = "none"\nsender = "edi@x.example"\n'
    write(home, f'[log]\nfile = "gateway.log"\nformat = "json"\n{smtp}')
    assert gateway(home, "partner", "apply", str(home / "acme.toml")).returncode == 0
    assert gateway(home, "partner", "test", "acme", "--wait", "1s").returncode == 75
    lines = [json.loads(line)["what"] for line in (home / "gateway.log").read_text().splitlines()]
    assert lines.count("batch begun") == lines.count("batch ended") > 0
    assert lines[-1] == "batch ended"
