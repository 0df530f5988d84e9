"""Before the first page: what every page needs is loaded, and no collection of garbage looks through it again."""

from __future__ import annotations

import gc

from gateway.console.rendering import environment
from gateway.console.site import Site


def warm(site: Site) -> None:
    """Loads templates and profiles, so that the first page is as quick as the next one.

    A program that is upgraded while it runs so keeps the templates that fit it. And what is there by now stays for
    good: a full collection took a third of a second to look through all of it, in the midst of some page.

    Raises:
        GatewayError: the home cannot be opened.
    """
    templates = environment()
    for name in templates.list_templates(extensions=["html"]):
        templates.get_template(name)
    site.app.directory()
    gc.collect()
    gc.freeze()
