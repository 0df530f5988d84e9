"""The pages, one module a subject; each has its routes in ``PAGES``."""

from __future__ import annotations

from starlette.routing import BaseRoute

from gateway.console.pages import (
    exchange,
    exchange_acts,
    exchange_bytes,
    exchange_export,
    exchange_saved,
    exchange_views,
    exchanges,
    mails,
    nights,
    today,
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
)
