"""Benches for the tests: one world and one home for all of them, a quick server of batches for each kind."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from faults.home import Options, make_template
from faults.trial import Bench
from faults.world import World


@pytest.fixture(scope="session")
def make_bench(tmp_path_factory):
    """Gives a bench for options; the gateway is set up by its own commands once for each of them."""
    templates = {}
    with ExitStack() as stack:
        world = stack.enter_context(World())

        def make(options: Options = Options(), place=None) -> Bench:  # noqa: B008 - a frozen value
            key = (options.on_doubt, options.alongside)
            if key not in templates:
                templates[key] = make_template(tmp_path_factory.mktemp("template") / "home", world, options)
            return Bench(place or tmp_path_factory.mktemp("bench"), options, world, templates[key])

        yield make


@pytest.fixture(scope="module")
def bench(make_bench):
    """The product as it is."""
    with make_bench() as bench:
        yield bench
