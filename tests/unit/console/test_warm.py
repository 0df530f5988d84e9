"""What is ready before the first page."""

from __future__ import annotations

import gc

from gateway.console.rendering import environment
from gateway.console.site import Site
from gateway.console.warm import warm


def test_every_template_is_loaded_and_left_alone_by_the_garbage_collector(home):
    """No page waits for a template, or for a collection that looks through all that was loaded at the start."""
    site = Site(home)
    before = gc.get_freeze_count()
    try:
        warm(site)
        assert gc.get_freeze_count() > before + 10_000
        loaded = {name for _, name in environment().cache}
        assert loaded >= set(environment().list_templates(extensions=["html"]))
    finally:
        gc.unfreeze()
        site.close()
