"""The pages, one module a subject; each has its routes in ``PAGES``."""

from __future__ import annotations

from starlette.routing import BaseRoute

from gateway.console.pages import (
    account,
    alerts,
    exchange,
    exchange_acts,
    exchange_bytes,
    exchange_export,
    exchange_saved,
    exchange_views,
    exchanges,
    mails,
    nights,
    partner,
    partner_certificates,
    partner_edit,
    partner_numbers,
    partner_revisions,
    partner_traffic,
    partners,
    today,
    tokens,
    users,
)

PAGES: tuple[BaseRoute, ...] = (
    *exchanges.PAGES,
    *exchange_saved.PAGES,
    *exchange_export.PAGES,
    *exchange.PAGES,
    *exchange_views.PAGES,
    *exchange_bytes.PAGES,
    *exchange_acts.PAGES,
    *mails.PAGES,
    *today.PAGES,
    *nights.PAGES,
    *account.PAGES,
    *users.PAGES,
    *tokens.PAGES,
    *partner_edit.PAGES,
    *partners.PAGES,
    *partner.PAGES,
    *partner_traffic.PAGES,
    *partner_numbers.PAGES,
    *partner_revisions.PAGES,
    *partner_certificates.PAGES,
    *alerts.PAGES,
)
