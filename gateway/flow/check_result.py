"""The result of one check of ``gateway doctor``."""

from __future__ import annotations

from msgspec import Struct

from gateway.errors import Behind, ConfigurationFault, GatewayError, Unavailable
from gateway.values import asdict

CONFIGURATION, UNAVAILABLE = ConfigurationFault.exit_code, Unavailable.exit_code


class Check(Struct, frozen=True):
    """How one thing is. ``ok`` is None where it works but somebody should look; ``exit_code`` counts on failure.

    ``code`` names what was found, the same from release to release: one of ``check_catalog``, or a fault's; empty where
    all is well. ``behind`` is the exception that ended a check in a way that nobody foresaw.
    """

    name: str
    ok: bool | None
    sentence: str
    advice: str = ""
    exit_code: int = CONFIGURATION
    code: str = ""
    behind: Behind | None = None

    def as_dict(self) -> dict[str, object]:
        """For machines: result is ok, warning or failed."""
        result = {True: "ok", None: "warning", False: "failed"}[self.ok]
        return {
            "result": result,
            **{key: value for key, value in asdict(self).items() if key not in {"ok", "exit_code", "behind"}},
        }


def failed(name: str, fault: GatewayError) -> Check:
    """A fault as the result of a check."""
    code = UNAVAILABLE if isinstance(fault, Unavailable) else CONFIGURATION
    return Check(name, False, str(fault), fault.next_step, code, fault.code, fault.behind)
