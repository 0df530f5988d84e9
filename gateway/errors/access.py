"""Faults of OAuth2: tokens that we do not get, and tokens that a mail host does not take."""

from __future__ import annotations

from gateway.errors.hosts import LoginRefused, Unavailable
from gateway.errors.setup import ConfigurationFault


class TokenRefused(Unavailable):
    code = "oauth.refused"
    sentence = "{host} gives no access token for [oauth.{name}]: {reason}"
    advice = (
        "If the permission has ended, run `gateway mailbox authorize {name}`; if the client secret or certificate has, "
        "make a new one at the provider and store it with `gateway secret set oauth.{name}`."
    )
    permanent = True


class TokenUnavailable(Unavailable):
    code = "oauth.unavailable"
    sentence = "{host}, which gives the access tokens of [oauth.{name}], does not answer as it should: {reason}"


class NotAuthorized(ConfigurationFault):
    code = "oauth.not-authorized"
    sentence = "Nobody has yet allowed the gateway to use the account of [oauth.{name}]."
    advice = "Run `gateway mailbox authorize {name}` and follow it; docs/oauth.md tells each step."


class TokenNotTaken(LoginRefused):
    code = "mail.token-not-taken"
    sentence = "{host} does not take the access token of {user}: {reason}"
    advice = (
        "The token is new: check that user names the mailbox, that the permission for this protocol was given and "
        "consented to, and that the provider has the protocol switched on for this mailbox; docs/oauth.md tells where."
    )
