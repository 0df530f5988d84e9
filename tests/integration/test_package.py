"""What `pip install` gives a user: the wheel, built and installed into a clean environment, works by itself."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from servers.need import absent

from gateway import __version__

TOP = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def run(command, **options) -> str:
    """Runs a command without this process's Python settings; its output, or a failed test that shows it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "GATEWAY", "VIRTUAL_ENV"))}
    environment |= options.pop("env", {})
    done = subprocess.run(
        [str(word) for word in command],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
        **options,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", out, TOP])
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The bin directory of a clean environment with the pinned dependencies and the wheel, nothing else."""
    place = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(place, with_pip=True)
    pip = [place / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    run([*pip, "--require-hashes", "-r", TOP / "requirements" / "run.txt"])
    run([*pip, "--no-deps", wheel])
    return place / "bin"


def test_the_wheel_holds_both_packages_the_migrations_and_the_licence(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {"gateway/cli/main.py", "partners/model.py", "gateway/py.typed", "partners/py.typed"} <= set(names)
    revisions = {path.name for path in (TOP / "migrations" / "versions").glob("*.py")}
    assert revisions
    assert {f"gateway/migrations/versions/{name}" for name in revisions} <= set(names)
    assert "gateway/migrations/env.py" in names
    assert [name for name in names if name.endswith((".dist-info/licenses/LICENSE", ".dist-info/licenses/NOTICE"))]
    assert [name for name in names if name.startswith(("tests/", "tools/")) or "__pycache__" in name] == []


def test_every_data_file_of_the_packages_is_in_the_wheel(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "gateway", "partners"], cwd=TOP, capture_output=True, text=True, check=False
    )
    if tracked.returncode != 0:
        absent("this is no git checkout: nothing says which files belong to the product")
    there = [name for name in tracked.stdout.splitlines() if (TOP / name).exists()]
    assert there
    assert [name for name in there if name not in names] == []


def test_the_dependencies_fit_together(installed):
    assert "No broken requirements" in run([installed / "python", "-m", "pip", "check"])


def test_the_installed_gateway_makes_a_home_with_the_newest_migration(installed, tmp_path):
    """Run from an empty directory, so that nothing of the checkout can help."""
    home = tmp_path / "home"
    assert __version__ in run([installed / "gateway", "--version"], cwd=tmp_path)
    run([installed / "gateway", "--home", home, "init"], cwd=tmp_path)
    assert (home / "gateway.toml").exists()
    # A ledger at the newest migration is what lets other commands open it.
    assert run([installed / "gateway", "--home", home, "partner", "list", "--json"], cwd=tmp_path) == ""
    assert run([installed / "gateway", "--home", home, "ledger", "search", "--json"], cwd=tmp_path) == ""


def test_the_installed_engine_finds_its_guidelines(installed, tmp_path):
    sample = TOP / "samples" / "interchanges" / "850_purchase_order.edi"
    assert "accepted" in run([installed / "gateway", "x12", "check", sample], cwd=tmp_path)


def test_the_installed_gateway_offers_shell_completion(installed, tmp_path):
    script = run([installed / "gateway"], cwd=tmp_path, env={"_GATEWAY_COMPLETE": "bash_source"})
    assert "_GATEWAY_COMPLETE" in script
