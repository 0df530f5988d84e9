"""OAuth2 access tokens for mail hosts: asked for, kept, renewed before they end (RFC 6749, 6750, 7523, 8628).

The protocol is Authlib's; HTTP, storage and time are given from outside.
"""

from gateway.mail.oauth.browser import BrowserFlow
from gateway.mail.oauth.client import Client, Permission, TokenClient
from gateway.mail.oauth.device import DeviceCode, DeviceFlow
from gateway.mail.oauth.tokens import TokenSource, Vault

__all__ = ["BrowserFlow", "Client", "DeviceCode", "DeviceFlow", "Permission", "TokenClient", "TokenSource", "Vault"]
