"""The pages, one module a subject; each has its routes in ``PAGES``."""

from __future__ import annotations

from starlette.routing import BaseRoute

PAGES: tuple[BaseRoute, ...] = ()
