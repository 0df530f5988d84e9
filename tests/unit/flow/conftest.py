"""Flow tests leave no database open (Python 3.13 warns of it, and warnings are errors), and a ledger that verifies."""

import pytest
from builders.stage import Stage

from gateway.ledger import database
from gateway.ledger.verify import Verification


@pytest.fixture(autouse=True)
def nothing_left_open(request, tmp_path):
    """Verifies the ledgers of all stages, unless the test is marked ``unrecorded``, and disposes of their engines.

    ``tmp_path``: it goes after that, not before.
    """
    yield
    while Stage.opened:
        engine = Stage.opened.pop()
        try:
            if not request.node.get_closest_marker("unrecorded"):
                with database.reading(engine) as connection:
                    assert [each.sentence for each in Verification(connection).full()] == []
        finally:
            engine.dispose()
