"""Documents reach the business whole, once under one name, or not at all."""

import http.server
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.errors import ConfigurationFault, DeliveryFailed
from gateway.flow import handover
from gateway.flow.handover import Deliverable, DirectoryHandover, file_name, handover_for
from gateway.flow.hooks import CommandHandover, HttpHandover

FACTS = {"partner": "acme", "set_id": "850", "control_number": "000000012", "po": "Größe\n7"}
ITEM = Deliverable("acme_850_12_0001.edi", "acme/12/0001", b"ISA*...~IEA~", FACTS)


def other(data):
    return Deliverable(ITEM.name, ITEM.key, data, FACTS)


def names_in(directory):
    return sorted(each.name for each in directory.iterdir())


# ---------------------------------------------------------------- directory


def test_a_file_lies_under_its_name_in_a_directory_made_for_it(tmp_path):
    place = DirectoryHandover(tmp_path / "inbox/acme")
    where = place.deliver(ITEM)
    assert not Path(where).exists()
    place.settle()
    assert where == str(tmp_path / "inbox/acme/acme_850_12_0001.edi")
    assert Path(where).read_bytes() == ITEM.data
    assert names_in(tmp_path / "inbox/acme") == ["acme_850_12_0001.edi"]


def test_the_same_again_is_fine_and_writes_nothing(tmp_path):
    handover = DirectoryHandover(tmp_path)
    where = Path(handover.deliver(ITEM))
    handover.settle()
    before = where.stat()
    assert handover.deliver(ITEM) == str(where)
    handover.settle()
    assert where.stat().st_ino == before.st_ino


@pytest.mark.parametrize("data", [b"something else", ITEM.data[::-1], b""])
def test_other_bytes_under_a_used_name_are_refused_and_the_file_stays(tmp_path, data):
    handover = DirectoryHandover(tmp_path)
    where = Path(handover.deliver(ITEM))
    with pytest.raises(DeliveryFailed, match="other content"):
        handover.deliver(other(data))
    handover.settle()
    assert where.read_bytes() == ITEM.data


def test_everything_is_synced_before_and_after_the_rename(tmp_path, monkeypatch):
    seen = []
    sync, rename = os.fsync, os.rename

    def noted_sync(descriptor):
        seen.append(("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        sync(descriptor)

    def noted_rename(path, target):
        seen.append(("rename", str(target)))
        rename(path, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "rename", noted_rename)
    place = DirectoryHandover(tmp_path / "a/b")
    where = place.deliver(ITEM)
    place.settle()
    assert seen[:2] == [("fsync", str(tmp_path)), ("fsync", str(tmp_path / "a"))]
    assert seen[2][0] == "fsync"
    assert seen[2][1].endswith(".part")
    assert seen[3:] == [("rename", where), ("fsync", str(tmp_path / "a/b"))]


def test_a_failing_disk_is_a_fault_and_leaves_no_file(tmp_path, monkeypatch):
    def broken(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    place = DirectoryHandover(tmp_path)
    place.deliver(ITEM)
    with pytest.raises(DeliveryFailed, match="Input/output error"):
        place.settle()
    assert names_in(tmp_path) == []
    monkeypatch.undo()
    place.deliver(ITEM)
    place.settle()
    assert names_in(tmp_path) == [ITEM.name]


def test_when_an_early_sync_fails_those_that_were_handed_over_before_are_not_called_durable(tmp_path, monkeypatch):
    monkeypatch.setattr(handover, "OPEN_AT_ONCE", 2)
    place = DirectoryHandover(tmp_path)
    for number in (1, 2):
        place.deliver(replace(ITEM, name=f"{number}.edi"))

    def broken(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(DeliveryFailed):
        place.deliver(replace(ITEM, name="3.edi"))
    monkeypatch.undo()
    with pytest.raises(DeliveryFailed, match="No space"):
        place.settle()
    assert names_in(tmp_path) == []
    place.settle()


def test_more_files_than_may_be_open_are_all_there_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(handover, "OPEN_AT_ONCE", 3)
    place = DirectoryHandover(tmp_path)
    wanted = [f"{number}.edi" for number in range(8)]
    for name in wanted:
        place.deliver(replace(ITEM, name=name))
    place.settle()
    assert sorted(names_in(tmp_path)) == wanted


def test_a_hidden_file_that_a_dead_process_left_is_replaced(tmp_path):
    (tmp_path / f".{ITEM.name}.part").write_bytes(b"half")
    place = DirectoryHandover(tmp_path)
    where = Path(place.deliver(ITEM))
    place.settle()
    assert where.read_bytes() == ITEM.data
    assert names_in(tmp_path) == [ITEM.name]


def test_a_file_in_the_place_of_the_directory_is_a_fault(tmp_path):
    (tmp_path / "inbox").write_text("")
    with pytest.raises(DeliveryFailed):
        DirectoryHandover(tmp_path / "inbox").deliver(ITEM)


def test_a_link_under_the_name_is_not_followed(tmp_path):
    (tmp_path / "outside").write_bytes(ITEM.data)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / ITEM.name).symlink_to(tmp_path / "outside")
    with pytest.raises(DeliveryFailed):
        DirectoryHandover(tmp_path / "inbox").deliver(ITEM)


@pytest.mark.parametrize("good", ["a.edi", "Größe_1.edi", "850+855(2).x12", "a-b=c@d,e"])
def test_a_good_name_stays_as_it_is(good):
    assert file_name(good, "key") == good


@pytest.mark.parametrize(
    "bad",
    ["../../etc/passwd", "/abs", ".hidden", "a\0b", "a\nb", "", "..", "x" * 300 + ".edi", "ü" * 150, "a.b/c", "a b;rm"],
)
def test_any_other_label_becomes_a_safe_name_of_its_own(bad):
    found = file_name(bad, "key")
    assert "/" not in found
    assert not found.startswith(".")
    assert found.isprintable()
    assert 0 < len(found.encode()) <= 200
    assert found == file_name(bad, "key")
    assert found != file_name(bad + "x", "key")


def test_two_labels_never_become_one_name():
    assert file_name("a/b.edi", "1") != file_name("a:b.edi", "2")
    assert file_name("", "1") != file_name("", "2")
    assert file_name("x" * 300 + ".edi", "1").endswith(".edi")


# ---------------------------------------------------------------- command


def command(tmp_path, script, timeout=20.0):
    file = tmp_path / "hook.sh"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return CommandHandover(f"'{file}' one 'two words'", timeout, tmp_path)


def test_a_command_gets_the_document_and_the_facts_but_no_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEWAY_SECRET_SMTP", "canary")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
    hook = command(tmp_path, 'cat > got; env > env; printf "%s|" "$@" > words; pwd > where')
    assert hook.deliver(ITEM) == f"command {tmp_path}/hook.sh"
    assert (tmp_path / "got").read_bytes() == ITEM.data
    assert (tmp_path / "words").read_text() == "one|two words|"
    assert (tmp_path / "where").read_text().strip() == str(tmp_path)
    seen = (tmp_path / "env").read_text()
    for line in ("GATEWAY_PARTNER=acme", "GATEWAY_CONTROL_NUMBER=000000012", "GATEWAY_KEY=acme/12/0001"):
        assert f"{line}\n" in seen
    assert f"GATEWAY_FILE_NAME={ITEM.name}\n" in seen
    assert "canary" not in seen
    assert "CREDENTIALS_DIRECTORY" not in seen


def test_a_command_that_fails_says_its_last_line(tmp_path):
    with pytest.raises(DeliveryFailed, match=r"disk full \(exit code 3\)"):
        command(tmp_path, 'cat >/dev/null; echo starting >&2; echo "disk full" >&2; echo >&2; exit 3').deliver(ITEM)


def test_a_command_ended_by_a_signal_says_which(tmp_path):
    with pytest.raises(DeliveryFailed, match="SIGKILL"):
        command(tmp_path, "kill -9 $$").deliver(ITEM)


def test_a_command_that_hangs_is_stopped_with_everything_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.flow.hooks.GRACE", 0.3)
    began = time.monotonic()
    with pytest.raises(DeliveryFailed, match=r"within 0\.5 seconds"):
        command(tmp_path, "trap '' TERM; sleep 77 & echo $! > child; wait; wait", 0.5).deliver(ITEM)
    assert time.monotonic() - began < 15
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5
    while running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not running(child)


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_command_that_reads_nothing_and_succeeds_has_it(tmp_path):
    big = Deliverable("big.edi", "k", b"x" * 1_000_000, {})
    assert command(tmp_path, "exit 0").deliver(big)


def test_a_child_that_lives_on_does_not_keep_the_gateway_waiting(tmp_path):
    began = time.monotonic()
    command(tmp_path, "cat > /dev/null; sleep 3 >&2 &").deliver(ITEM)
    assert time.monotonic() - began < 2.5


@pytest.mark.parametrize("line", ["/not/there", "", "'open", "."])
def test_a_command_that_cannot_be_started_is_a_fault(tmp_path, line):
    with pytest.raises(DeliveryFailed):
        CommandHandover(line, 5, tmp_path).deliver(ITEM)


def test_a_nul_in_a_fact_does_no_harm(tmp_path):
    assert command(tmp_path, "exit 0").deliver(Deliverable("a", "k", b"", {"po": "a\0b"}))


# ---------------------------------------------------------------- http


@pytest.fixture
def hook():
    """A hook that notes what it gets and answers what it is told."""

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.seen.append((self.path, dict(self.headers), body))
            self.send_response(self.server.code)
            for name, value in self.server.answer.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self):
            self.server.seen.append(("GET", {}, b""))
            self.send_error(500)

        def log_message(self, *words):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
    server.seen, server.code, server.answer = [], 200, {}
    server.url = f"http://127.0.0.1:{server.server_port}/edi"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("code", [200, 201, 202, 204, 409])
def test_a_post_is_taken_by_2xx_or_because_it_was_there_already(hook, code):
    hook.code = code
    assert HttpHandover(hook.url, 5, "t0ken").deliver(ITEM) == hook.url
    path, headers, body = hook.seen[0]
    assert (path, body) == ("/edi", ITEM.data)
    assert headers["Idempotency-Key"] == ITEM.key
    assert headers["Authorization"] == "Bearer t0ken"
    assert headers["Content-Type"] == "application/EDI-X12"
    assert (headers["X-Gateway-Partner"], headers["X-Gateway-Control-Number"]) == ("acme", "000000012")
    assert headers["X-Gateway-Po"] == "Gr%C3%B6%C3%9Fe%0A7"


@pytest.mark.parametrize("code", [400, 401, 404, 500, 503])
def test_any_other_answer_is_a_failure_that_names_it(hook, code):
    hook.code = code
    with pytest.raises(DeliveryFailed, match=str(code)):
        HttpHandover(hook.url, 5).deliver(ITEM)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(hook, code):
    hook.code = code
    hook.answer = {"Location": hook.url + "/elsewhere"}
    with pytest.raises(DeliveryFailed, match="redirects to"):
        HttpHandover(hook.url, 5).deliver(ITEM)
    assert len(hook.seen) == 1


def test_nobody_listening_is_a_failure(hook):
    hook.shutdown()
    hook.server_close()
    with pytest.raises(DeliveryFailed, match="refused"):
        HttpHandover(hook.url, 5).deliver(ITEM)


def test_a_hook_that_does_not_answer_is_given_up(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(DeliveryFailed, match="did not answer"):
            HttpHandover(url, 0.2).deliver(ITEM)


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Slow: "])
def test_a_hook_that_answers_byte_by_byte_is_given_up_too(begin):
    """Each byte comes in time, the answer never."""

    def trickle():
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(begin)
            while not done.wait(0.05):
                connection.sendall(b"H" if begin else b"\0")

    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle)
        thread.start()
        began = time.monotonic()
        try:
            with pytest.raises(DeliveryFailed, match=r"did not answer within 0\.4 seconds"):
                HttpHandover(f"http://127.0.0.1:{listener.getsockname()[1]}/", 0.4).deliver(ITEM)
            assert time.monotonic() - began < 3
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///etc/passwd", "http:// or https://"),
        ("ftp://example.com/", "http:// or https://"),
        ("http://", "http:// or https://"),
        ("http://[::1", "no URL"),
        ("http://a:b", "no URL"),
        ("https://user:canary@example.com/", "passwords do not belong"),
        ("http://example.com/edi", "use https"),
    ],
)
def test_a_url_that_would_not_be_right_is_refused_before_anything_is_sent(url, words):
    with pytest.raises(DeliveryFailed, match=words) as caught:
        HttpHandover(url, 1, "t0ken").deliver(ITEM)
    assert "canary" not in str(caught.value)


def test_a_token_is_not_in_the_repr():
    assert "t0ken" not in repr(HttpHandover("https://example.com/", 1, "t0ken"))


# ---------------------------------------------------------------- the choice


def made(kind, target, tmp_path):
    return handover_for(kind, target, timeout=5, token="t", home=tmp_path, default_directory=tmp_path / "inbox/acme")


def test_the_kind_chooses_and_directories_are_seen_from_the_home(tmp_path):
    assert made("directory", "", tmp_path) == DirectoryHandover(tmp_path / "inbox/acme")
    assert made("directory", "drop/here", tmp_path) == DirectoryHandover(tmp_path / "drop/here")
    assert made("directory", "/srv/drop", tmp_path) == DirectoryHandover(Path("/srv/drop"))
    assert made("command", "import-edi --fast", tmp_path) == CommandHandover("import-edi --fast", 5, tmp_path)
    assert made("http", "https://erp.example.com/", tmp_path) == HttpHandover("https://erp.example.com/", 5, "t")


@pytest.mark.parametrize(("kind", "target"), [("ftp", "x"), ("command", ""), ("http", "")])
def test_another_kind_or_no_target_is_a_configuration_fault(tmp_path, kind, target):
    with pytest.raises(ConfigurationFault):
        made(kind, target, tmp_path)
