"""Flow tests leave no database open: Python 3.13 warns of it, and warnings are errors."""

import pytest
from builders.stage import Stage


@pytest.fixture(autouse=True)
def nothing_left_open():
    """Disposes of the engines of all stages of a test."""
    yield
    while Stage.opened:
        Stage.opened.pop().dispose()
