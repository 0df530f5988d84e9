"""What deploy/ holds is sound: units that systemd accepts and finds safe, containers without secrets, real commands."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from servers import need

from gateway.settings import parse_settings

TOP = Path(__file__).resolve().parents[2]
DEPLOY = TOP / "deploy"
SERVICES = ("gateway.service", "gateway-night.service", "gateway-worker.service")
HARDENED = (
    *("NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome", "ProtectClock", "ProtectHostname"),
    *("ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups"),
    *("RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "RemoveIPC"),
)
MOST_EXPOSED = 2.0  # of 10, as `systemd-analyze security` counts


def unit(name):
    """A unit as its sections; of settings that are there twice the last."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(DEPLOY / name)
    return parser


@pytest.fixture
def installed(tmp_path):
    """The units as they would be installed, with programs and users that this machine has."""
    for name in (*SERVICES, "gateway-night.timer"):
        text = (DEPLOY / name).read_text("utf-8").replace("/opt/edi-gateway/bin/gateway", shutil.which("true"))
        (tmp_path / name).write_text(re.sub(r"^(User|Group)=edi-gateway$", r"\1=daemon", text, flags=re.MULTILINE))
    return tmp_path


# ---------------------------------------------------------------- systemd


def systemd_analyze():
    """The program, where this machine has it: containers in which tests run may not."""
    return need.program("systemd-analyze")


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_takes_away_what_the_gateway_does_not_need(name):
    """No privileges, no devices, no other directories, no kernel."""
    service = unit(name)["Service"]
    assert all(service[each] == "yes" for each in HARDENED)
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert service["User"] == service["Group"] == "edi-gateway"
    assert service["UMask"] == "0077"
    assert (service["StateDirectory"], service["StateDirectoryMode"]) == ("edi-gateway", "0700")
    assert "GATEWAY_SECRET" not in (DEPLOY / name).read_text("utf-8")


def test_services_come_back_but_not_from_a_wrong_configuration():
    """A batch that found documents to reject is no failure of the unit."""
    for name in ("gateway.service", "gateway-worker.service"):
        service = unit(name)["Service"]
        assert service["Restart"] in {"always", "on-failure"}
        assert service["RestartPreventExitStatus"] == "78"
        assert service["KillSignal"] == "SIGTERM"
    assert unit("gateway-night.service")["Service"]["SuccessExitStatus"] == "65"


def test_systemd_accepts_the_units(installed):
    """Every setting is known to it, and every value understood."""
    program = systemd_analyze()
    files = [str(installed / each) for each in (*SERVICES, "gateway-night.timer")]
    done = subprocess.run([program, "verify", *files], capture_output=True, text=True, check=False, timeout=60)
    said = [line for line in (done.stdout + done.stderr).splitlines() if str(installed) in line]
    assert (done.returncode, said) == (0, [])


@pytest.mark.parametrize("name", SERVICES)
def test_systemd_finds_the_units_safe(installed, name):
    """The page names the figure."""
    program = systemd_analyze()
    words = [program, "security", "--offline=true", "--no-pager", str(installed / name)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    if "unrecognized option" in done.stderr:
        need.absent("this systemd-analyze has no --offline")
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= MOST_EXPOSED


def test_the_timer_starts_the_night_and_catches_up():
    """After the machine was off it runs at once."""
    timer = unit("gateway-night.timer")
    assert timer["Timer"]["Persistent"] == "yes" or timer["Timer"]["Persistent"] == "true"
    assert "OnCalendar" in timer["Timer"]


def test_logrotate_moves_the_file_and_tells_nobody():
    """The gateway sees for itself that its log was moved; nothing is run, and nothing is copied."""
    text = (DEPLOY / "edi-gateway.logrotate").read_text("utf-8")
    assert "copytruncate" not in text
    assert "postrotate" not in text
    assert text.count("{") == text.count("}") == 1
    assert "su edi-gateway edi-gateway" in text


# ---------------------------------------------------------------- containers


def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))


def gateways():
    return {name: each for name, each in compose()["services"].items() if each.get("image") == "edi-gateway"}


def test_the_containers_of_the_gateway_have_no_rights_they_do_not_need():
    """Read-only, without capabilities, and with an end that waits for what is begun."""
    assert set(gateways()) == {"upgrade", "worker", "console"}
    for each in gateways().values():
        assert each["read_only"] is True
        assert each["cap_drop"] == ["ALL"]
        assert each["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in each
        assert each["stop_grace_period"] == "5m"
        assert "./home:/var/lib/edi-gateway" in each["volumes"]


def test_no_password_stands_in_compose():
    """They are files, mounted where the gateway looks for them."""
    found = compose()
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    for name, secret in found["secrets"].items():
        assert secret == {"file": f"./credentials/{name}"}
    for each in found["services"].values():
        assert set(each["secrets"]) <= set(found["secrets"])
        for name, value in (each.get("environment") or {}).items():
            assert "PASSWORD" not in name or value.startswith("/run/secrets/")
    assert "GATEWAY_SECRET" not in text
    dockerfile = (DEPLOY / "Dockerfile").read_text("utf-8")
    assert "CREDENTIALS_DIRECTORY=/run/secrets" in dockerfile


def test_everybody_waits_for_the_database_and_its_tables():
    """The step that upgrades runs once and ends; the rest begins after it."""
    services = compose()["services"]
    assert services["upgrade"]["restart"] == "no"
    assert services["upgrade"]["depends_on"]["database"] == {"condition": "service_healthy"}
    assert "healthcheck" in services["database"]
    for name in ("worker", "console"):
        assert services[name]["depends_on"]["upgrade"] == {"condition": "service_completed_successfully"}
    assert all(port.startswith("127.0.0.1:") for each in services.values() for port in each.get("ports", ()))


def test_containers_run_commands_that_exist():
    """And the health check asks for a page that the console has."""
    from test_docs import check_mention

    for name, each in gateways().items():
        check_mention(" ".join(each["command"]), name)
    probe = compose()["services"]["console"]["healthcheck"]["test"][-1]
    compile(probe, "healthcheck", "exec")
    health = (TOP / "gateway" / "console" / "health.py").read_text("utf-8")
    assert "/healthz" in probe
    assert '"/healthz"' in health


def test_the_image_runs_as_nobody_special_from_pinned_packages():
    """Every file it copies is there, every package has its hash, and none is of development."""
    dockerfile = (DEPLOY / "Dockerfile").read_text("utf-8")
    assert re.search(r"^USER edi-gateway$", dockerfile, re.MULTILINE)
    assert dockerfile.count("--require-hashes") == 2
    for listing in re.findall(r"requirements/\w+\.txt", dockerfile):
        assert (TOP / listing).exists(), listing
    pinned = {name: (TOP / "requirements" / f"{name}.txt").read_text("utf-8") for name in ("run", "container", "dev")}
    names = {name: set(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE)) for name, text in pinned.items()}
    wanted = {"psycopg", "psycopg-binary", "procrastinate", "reportlab"}
    assert {name for name, _ in names["run"]} | wanted <= {name for name, _ in names["container"]}
    assert not {"pytest", "mypy", "ruff", "playwright"} & {name for name, _ in names["container"]}
    assert names["container"] <= names["dev"]
    for entry in re.split(r"\n(?! )", pinned["container"].strip()):
        assert "--hash=sha256:" in entry, entry.split("\n")[0]


def test_the_settings_that_the_page_shows_can_be_read():
    """Every table of docs/running.md, together with what every gateway needs."""
    page = (TOP / "docs" / "running.md").read_text("utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) == 2
    text = '[gateway]\nname = "x"\ndomain = "x.example"\nidentities = ["ZZ:X"]\n'
    text += '[smtp]\nhost = "h"\nsender = "a@x.example"\n'
    found = parse_settings((text + "\n".join(blocks)).encode(), home=Path("/home"))
    assert found.log is not None
    assert found.log.format == "json"
    assert found.report.to == ("ops@example.com",)
    assert found.console is not None


def test_every_file_of_deploy_is_named_on_the_page():
    """What nobody finds helps nobody."""
    page = (TOP / "docs" / "running.md").read_text("utf-8")
    assert [each.name for each in sorted(DEPLOY.iterdir()) if each.name not in page] == []
