"""The pages, one module a subject; each has its routes in ``PAGES``."""

from __future__ import annotations

from starlette.routing import BaseRoute

from gateway.console.pages import exchange_export, exchange_saved, exchanges, nights, today

PAGES: tuple[BaseRoute, ...] = (
    *exchanges.PAGES,
    *exchange_saved.PAGES,
    *exchange_export.PAGES,
    *today.PAGES,
    *nights.PAGES,
)
