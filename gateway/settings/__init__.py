"""What gateway.toml says: frozen values, the reader that checks the file, and the file that `gateway init` writes."""

from __future__ import annotations

from gateway.settings.model import (
    AlertSettings,
    BackupSettings,
    ConsoleSettings,
    Kept,
    Limits,
    LogSettings,
    MailboxSettings,
    OAuthSettings,
    OidcSettings,
    ProofSettings,
    ReportSettings,
    RetentionSettings,
    SealSettings,
    SelftestSettings,
    Settings,
    SmtpSettings,
    TariffSettings,
    WorkerSettings,
)
from gateway.settings.reader import FILE_NAME, invalid, parse_settings, read_settings
from gateway.settings.template import template_settings

__all__ = [
    "FILE_NAME",
    "AlertSettings",
    "BackupSettings",
    "ConsoleSettings",
    "Kept",
    "Limits",
    "LogSettings",
    "MailboxSettings",
    "OAuthSettings",
    "OidcSettings",
    "ProofSettings",
    "ReportSettings",
    "RetentionSettings",
    "SealSettings",
    "SelftestSettings",
    "Settings",
    "SmtpSettings",
    "TariffSettings",
    "WorkerSettings",
    "invalid",
    "parse_settings",
    "read_settings",
    "template_settings",
]
