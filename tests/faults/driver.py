"""Starts the gateway with something different: ``driver.py MUTANT alongside|alone`` and the gateway's own arguments.

With ``--serve`` instead of arguments it imports the gateway once and forks a process for each batch that it is told
of, which spares a second of start-up: a line of JSON with ``arguments``, ``environment`` and the file ``said`` (for
stderr) comes in, a line with the ``pid`` goes out, and one with the exit ``status`` when it has ended.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import pkgutil
import sys
import traceback
from pathlib import Path

from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parent.parent))


def arrange(mutant: str, alongside: str) -> None:
    """What is to be different."""
    if alongside == "alongside":
        from gateway.flow import alongside as module

        module.WORTH_IT = 0
        module.os.cpu_count = lambda: 2
        module.Alongside.__init__.__defaults__ = (tuple(replace(each, least=1) for each in module.HANDS),)
    if mutant:
        from faults.mutants import MUTANTS

        MUTANTS[mutant].arrange()


def serve() -> None:
    """Batches, one after the other, until stdin ends."""
    for package in ("gateway", "partners"):
        for each in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not each.name.endswith("__main__"):
                importlib.import_module(each.name)
    for line in sys.stdin:
        wanted = json.loads(line)
        pid = os.fork()
        if not pid:
            _batch(wanted)
        _say({"pid": pid})
        _, status = os.waitpid(pid, 0)
        _say({"status": os.waitstatus_to_exitcode(status)})


def _say(what: dict) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def _batch(wanted: dict) -> None:
    from gateway.cli import main as gateway

    os.setsid()
    said = os.open(wanted["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor, instead in ((0, nothing), (1, nothing), (2, said)):
        os.dup2(instead, descriptor)
    os.environ.update(wanted["environment"])
    sys.argv[1:] = wanted["arguments"]
    if "FAULT_STATE" in os.environ:
        ctypes.CDLL(None).faultpoint_prepare()
    code = 1
    try:
        gateway(wanted["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001 - what the command would have died of is to be seen
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    """Arranges what was asked for, then hands over to the gateway's command line, or serves."""
    arrange(sys.argv[1], sys.argv[2])
    if sys.argv[3:] == ["--serve"]:
        serve()
        return
    from gateway.cli import main as gateway

    gateway(sys.argv[3:])


if __name__ == "__main__":
    main()
