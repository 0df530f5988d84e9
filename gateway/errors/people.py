"""Faults of people and programs at the door: signing in, passwords, tokens, and the console's own address."""

from __future__ import annotations

from gateway.errors.base import GatewayError, Side
from gateway.errors.hosts import Unavailable
from gateway.errors.requests import NotAllowedNow, NotFound, UsageFault


class ConsoleUnavailable(Unavailable):
    code = "console.cannot-listen"
    sentence = "The console cannot listen at {address}: {reason}"
    advice = "Choose another address or port in gateway.toml, [console] listen, or end the program that has this one."
    side = Side.OURS


class ConsoleOutOfOrder(Unavailable):
    """What somebody is told whom nobody knows, for the reason names hosts: the log has it."""

    code = "console.out-of-order"
    sentence = "The console is out of order for now."
    advice = "Whoever runs the gateway finds the reason in its log, and with `gateway doctor`."
    side = Side.OURS


class PasswordRefused(UsageFault):
    code = "password.refused"
    sentence = "This password cannot be used: {reason}."
    advice = "A few words that do not belong together make a good one; a password manager makes a better one."


class UserUnknown(NotFound):
    code = "user.unknown"
    sentence = "There is no user {name}."
    advice = "`gateway user list` shows all; `gateway user add` makes one."


class UserTaken(NotAllowedNow):
    code = "user.taken"
    sentence = "There is a user {name} already; nothing was changed."
    advice = "Choose another name, or change that user: `gateway user role`, `gateway user password`."


class UserVouchedFor(NotAllowedNow):
    code = "user.vouched-for"
    sentence = "{name} comes in by the sign-in provider {issuer}, and has no password here."
    advice = "Change the password at the provider."


class ApiTokenUnknown(NotFound):
    code = "token.unknown"
    sentence = "There is no token {name}."
    advice = "`gateway token list` shows all; `gateway token add` makes one."


class ApiTokenTaken(NotAllowedNow):
    code = "token.taken"
    sentence = "There is a token {name} already, even if it is not good any more; nothing was changed."
    advice = "Choose another name: what the ledger says of the old one must not be taken for the new one."


class DoorFault(GatewayError):
    """Somebody, or a program, is not let in."""

    code = "door"
    sentence = "Nobody was let in: {reason}"
    advice = "Ask an administrator of the gateway."
    side = Side.OURS
    exit_code = 2


class SignInRefused(DoorFault):
    code = "sign-in.refused"
    sentence = "The name or the password is not right."
    advice = "Try again. If you do not know it any more, an administrator gives you a new password."


class SignInPaused(DoorFault):
    code = "sign-in.paused"
    sentence = "Too many sign-ins failed. The next one is looked at in {wait}."
    advice = "Wait, then sign in again. Nobody is locked out for good."
    permanent = False
    exit_code = 75


class ProviderRefused(DoorFault):
    code = "sign-in.provider-refused"
    sentence = "What the sign-in provider says does not count: {reason}."
    advice = "Sign in again. If it comes back, an administrator looks at [console.oidc] in gateway.toml."


class ProviderUnavailable(Unavailable):
    code = "sign-in.provider-unavailable"
    sentence = "The sign-in provider {host} does not answer as it should: {reason}"
    advice = "Try again; those who have a password here can use it meanwhile."


class ApiTokenRefused(DoorFault):
    code = "api.token-refused"
    sentence = "The request needs a token that is good: {reason}."
    advice = (
        "Send `Authorization: Bearer TOKEN`; `gateway token add` makes one, `gateway token list` shows which are good."
    )


class ScopeMissing(DoorFault):
    code = "api.scope-missing"
    sentence = "The token {token} may not do this: it needs the scope {scope}."
    advice = "Make a token with that scope: `gateway token add NAME --scope {scope}`."


class TooManyRequests(DoorFault):
    code = "api.too-many-requests"
    sentence = "The token {token} asked more often than it may; the next request is answered in {wait}."
    advice = "Wait as the header Retry-After says, and ask less often."
    permanent = False
    exit_code = 75


class RequestInvalid(UsageFault):
    code = "api.request-invalid"
    sentence = "The request cannot be understood at {where}: {reason}."
    advice = "The description of the interface is at /api/v1/openapi.json, and in docs/reference/api.md."


class RevisionDiffers(UsageFault):
    code = "api.revision-differs"
    sentence = "The profile of {partner} is at revision {found} by now, not {asked}; nothing was changed."
    advice = "Read the profile again, put your change into that, and send it with the ETag that came with it."
