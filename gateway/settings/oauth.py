"""The [oauth.NAME] tables: what the large providers' endpoints and scopes are, and what does not fit together."""

from __future__ import annotations

from typing import Any

from gateway.settings.model import OAuthSettings

_MICROSOFT = "https://login.microsoftonline.com"
# Google's application-only way has a grant of its own, and its mail servers know one scope for all protocols.
_GRANTS = {
    "microsoft": ("client-credentials", "refresh-token"),
    "google": ("refresh-token", "service-account"),
    "custom": ("client-credentials", "refresh-token", "service-account"),
}
_TOKEN_URLS = {
    "microsoft": _MICROSOFT + "/{tenant}/oauth2/v2.0/token",
    "google": "https://oauth2.googleapis.com/token",
}
# Google has a device flow too, but gives no access to mail by it.
_DEVICE_URLS = {"microsoft": _MICROSOFT + "/{tenant}/oauth2/v2.0/devicecode"}
_AUTHORIZE_URLS = {
    "microsoft": _MICROSOFT + "/{tenant}/oauth2/v2.0/authorize",
    # Without these two there is no refresh token.
    "google": "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent",
}
_SCOPES = {
    ("microsoft", "client-credentials"): "https://outlook.office365.com/.default",
    ("microsoft", "refresh-token"): (
        "offline_access https://outlook.office.com/POP.AccessAsUser.All "
        "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send"
    ),
    ("google", "refresh-token"): "https://mail.google.com/",
    ("google", "service-account"): "https://mail.google.com/",
}


class OAuthTableError(ValueError):
    """What is wrong with a table; ``key`` says where."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def complete(name: str, found: dict[str, Any]) -> OAuthSettings:
    """The settings of the table ``name``, with what its provider and grant imply filled in.

    Raises:
        OAuthTableError: for the first thing that is missing or does not fit.
    """
    if "client_id" not in found:
        raise OAuthTableError("client_id", "the key is missing; it names the application at the provider")
    provider, grant = found.setdefault("provider", "custom"), found.setdefault("grant", "refresh-token")
    if grant not in _GRANTS[provider]:
        raise OAuthTableError("grant", f"{provider} has {' and '.join(_GRANTS[provider])}")
    _tenant(found)
    tenant = found.get("tenant", "organizations")
    urls = (("token_url", _TOKEN_URLS), ("device_url", _DEVICE_URLS), ("authorize_url", _AUTHORIZE_URLS))
    for key, known in urls:
        if provider in known:
            found.setdefault(key, known[provider].format(tenant=tenant))
    if "token_url" not in found:
        raise OAuthTableError("token_url", "the key is missing; it is where the provider gives tokens")
    found.setdefault("scope", _SCOPES.get((provider, grant), ""))
    _authentication(name, found)
    if grant == "service-account" and "subject" not in found:
        raise OAuthTableError("subject", "the key is missing; it names the account that the service account acts for")
    return OAuthSettings(name=name, **found)


def _tenant(found: dict[str, Any]) -> None:
    if found["provider"] != "microsoft" and "tenant" in found:
        raise OAuthTableError("tenant", 'this key is for provider = "microsoft"')
    if found["provider"] == "microsoft" and found["grant"] == "client-credentials" and "tenant" not in found:
        raise OAuthTableError("tenant", "the key is missing; an application belongs to one directory (tenant)")
    if "/" in found.get("tenant", ""):
        raise OAuthTableError("tenant", "an id or a domain is wanted")


def _authentication(name: str, found: dict[str, Any]) -> None:
    public = found["provider"] == "microsoft" and found["grant"] == "refresh-token" and "secret" not in found
    way = found.setdefault("client_authentication", "none" if public else "post")
    if way == "none" and found["grant"] != "refresh-token":
        raise OAuthTableError("client_authentication", f"{found['grant']} needs a secret or a certificate")
    if way == "none" and "secret" in found:
        raise OAuthTableError("secret", 'client_authentication = "none" uses no secret')
    if way != "none":
        found.setdefault("secret", f"oauth.{name}")
