"""Signing in through a provider: there, back, and who somebody is here.

The way back comes from another site, so that the browser sends no strict cookie along: what we remember of somebody
is in a cookie of its own, encrypted, for ten minutes, and the page that comes back leads on by itself. Each sign-in has
its own cookie, so that two that begin in two tabs both come to their end.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from functools import partial
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.app import KEY_FILE
from gateway.console.answers import fault_answer, for_whom
from gateway.console.keeper import Keeper, address_of
from gateway.console.oidc import Errand, Provider, Vouched, role_of
from gateway.console.places import SIGN_IN, local
from gateway.console.rendering import rendered
from gateway.console.sign_in import give_cookie, keeper_of, sign_in_page
from gateway.console.turns import in_turn
from gateway.errors import DoorFault, GatewayError, ProviderRefused, ProviderUnavailable, SignInPaused, UsageFault
from gateway.ledger import sign_in_pauses, users
from gateway.ledger.moments import duration
from gateway.ledger.recording import Recorder
from gateway.ledger.secrets import derived_key
from gateway.ledger.sign_in_pauses import ADDRESS, network
from gateway.ledger.users import KnownUser
from gateway.mail.oauth.http import getter, poster
from gateway.settings import OidcSettings
from gateway.settings.console import own_url
from gateway.values import asdict

_THERE, _BACK = f"{SIGN_IN}/provider", f"{SIGN_IN}/provider/return"
_LIFE = 600  # seconds that somebody may take at the provider
_TABS = 4  # sign-ins of one browser that may be under way at once
_STATE = re.compile(r"([\w-]{8})[\w-]*", re.ASCII)
_guard = threading.Lock()


async def _there(request: Request) -> Response:
    return await in_turn(request, _send, request)


def _send(request: Request) -> Response:
    wanted = local(request.query_params.get("to", "/"))
    errand = Errand.new()
    try:
        response = RedirectResponse(_provider(request).address(errand), 303)
    except GatewayError as fault:
        return _refused(request, wanted, fault)
    kept = json.dumps(asdict(errand) | {"to": wanted}).encode()
    for name in _kept(request)[: 1 - _TABS]:
        response.delete_cookie(name, **_of_cookie(request))
    response.set_cookie(
        _cookie(request, errand.state),
        _cipher(request).encrypt(kept).decode(),
        max_age=_LIFE,
        **_of_cookie(request),
    )
    return response


async def _back(request: Request) -> Response:
    return await in_turn(request, _take, request)


def _take(request: Request) -> Response:
    errand, wanted = _remembered(request)
    try:
        if errand is None:
            raise ProviderRefused(reason="it took longer than ten minutes, or began in another browser")
        number = _let_in(request, errand)
    except GatewayError as fault:
        response = _refused(request, wanted, fault)
    else:
        response = HTMLResponse(rendered("again.html", wanted=wanted))
        give_cookie(request, response, number)
    response.delete_cookie(_cookie(request, request.query_params.get("state", "")), **_of_cookie(request))
    return response


def _let_in(request: Request, errand: Errand) -> str:
    """The number of a session of whom the provider vouches for.

    Raises:
        ProviderRefused, ProviderUnavailable, SignInPaused
    """
    keeper = keeper_of(request)
    address, now = address_of(request), keeper.site.clock()
    subjects = {f"address:{network(address)}": ADDRESS}
    ledger = keeper.ledger()
    wait = ledger.write(lambda recorder: sign_in_pauses.count(recorder.connection, subjects, now))
    if wait:
        raise SignInPaused(wait=duration(max(wait, 1_000)))
    try:
        vouched = _provider(request).returned(errand, dict(request.query_params))
        user = ledger.write(partial(_known, _settings(keeper), vouched))
    except (ProviderRefused, UsageFault) as fault:
        ledger.record("sign-in-failed", name="", address=address, reason=f"{fault}")
        raise

    def begin(recorder: Recorder) -> str:
        sign_in_pauses.forgive(recorder.connection, subjects)
        return keeper.begin(recorder, user, request, how="the sign-in provider")

    return keeper.ledger(user.name).write(begin)


def _known(settings: OidcSettings, vouched: Vouched, recorder: Recorder) -> KnownUser:
    """Who that is here: added when they come for the first time, with the role that the provider's words stand for.

    Raises:
        ProviderRefused: they have no role, a name that is another's, or are not let in.
        UsageFault: the name cannot be one.
    """
    role = role_of(settings, vouched)
    if role is None:
        raise ProviderRefused(reason=f"nothing in its {settings.role_claim} stands for a role here")
    user = users.find_vouched(recorder.connection, settings.issuer, vouched.subject)
    if user is None:
        name = users.checked_name(vouched.name)
        if users.find(recorder.connection, name) is not None:
            raise ProviderRefused(reason=f"there is another user {name} here, who comes in another way")
        return users.add(recorder, name, role, issuer=settings.issuer, subject=vouched.subject)
    if user.disabled_at is not None:
        raise ProviderRefused(reason=f"{user.name} is let in no more")
    users.set_role(recorder, user.name, role)
    return user


def _refused(request: Request, wanted: str, fault: GatewayError) -> Response:
    if isinstance(fault, DoorFault):
        return sign_in_page(request, wanted, fault)
    told = fault if isinstance(fault, ProviderUnavailable) else for_whom(request, fault)
    return fault_answer(request.url.path, told)


# ---------------------------------------------------------------- what is remembered


def _remembered(request: Request) -> tuple[Errand | None, str]:
    """What the browser's cookie says of whom we sent, and where they wanted to go."""
    try:
        name = _cookie(request, request.query_params.get("state", ""))
        kept = json.loads(_cipher(request).decrypt(request.cookies.get(name, "").encode(), ttl=_LIFE))
        return Errand(kept["state"], kept["nonce"], kept["verifier"]), local(kept["to"])
    except (InvalidToken, ValueError, KeyError):
        return None, "/"


def _cipher(request: Request) -> Fernet:
    key = derived_key(keeper_of(request).site.home / KEY_FILE, "sign-in provider")
    return Fernet(base64.urlsafe_b64encode(key))


def _cookie(request: Request, state: str) -> str:
    """What the cookie of the sign-in with that state is called."""
    known = _STATE.fullmatch(state)
    return f"{_prefix(request)}{known[1] if known else ''}"


def _kept(request: Request) -> list[str]:
    """The cookies of sign-ins that are under way; browsers send the oldest first."""
    return [name for name in request.cookies if name.startswith(_prefix(request))]


def _prefix(request: Request) -> str:
    return "__Host-console-provider-" if _is_secure(request) else "console-provider-"


def _of_cookie(request: Request) -> dict[str, Any]:
    """How the cookie is kept: it must come along from the provider, so it cannot be strict."""
    secure = _is_secure(request)
    return {"path": "/" if secure else _THERE, "httponly": True, "samesite": "lax", "secure": secure}


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


# ---------------------------------------------------------------- the provider


def _settings(keeper: Keeper) -> OidcSettings:
    oidc = keeper.settings.oidc
    if oidc is None:
        raise HTTPException(404)
    return oidc


def _provider(request: Request) -> Provider:
    """The provider as gateway.toml has it now; what it said of itself is kept until the table changes."""
    keeper = keeper_of(request)
    settings = _settings(keeper)
    key = (settings, own_url(keeper.settings))
    with _guard:
        known = getattr(request.app.state, "provider", None)
        if known is None or known[0] != key:
            ca_file, timeout = str(settings.ca_file or ""), settings.timeout.total_seconds()
            made = Provider(
                settings,
                f"{key[1]}{_BACK}",
                lambda: keeper.site.app.secrets.get(settings.secret),
                getter(ca_file, timeout, "console.oidc"),
                poster(ca_file, timeout, "console.oidc"),
                lambda: keeper.site.clock() / 1000,
            )
            request.app.state.provider = known = (key, made)
    provider: Provider = known[1]
    return provider


ROUTES: tuple[BaseRoute, ...] = (
    Route(_THERE, _there, methods=["GET"]),
    Route(_BACK, _back, methods=["GET"]),
)
