"""Tests do not speak to each other through the environment."""

import os

import pytest


@pytest.mark.parametrize("run", [1, 2])
def test_what_a_test_puts_into_the_environment_is_gone_for_the_next(run):
    assert "GATEWAY_SECRET_LEFT" not in os.environ, run
    os.environ["GATEWAY_SECRET_LEFT"] = "by the first"
