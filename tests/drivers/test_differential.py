"""Random statements answer as DuckDB does: a small run of the generator in `differential`."""

import random

import pytest

from differential.run import compare, report
from server import Server

STATEMENTS = 400
# One run repeats itself, one is new every time; its seed stands in the failure.
SEEDS = [20_26, random.SystemRandom().randrange(2**32)]


@pytest.mark.parametrize("seed", SEEDS, ids=["known seed", "new seed"])
def test_random_statements_answer_as_duckdb_does(shared_server: Server, seed: int) -> None:
    both = compare(shared_server, seed, STATEMENTS)
    found = report(both, seed)
    assert not both.tally["WRONG"], found
    # A generator that makes nothing both sides run would find nothing.
    assert both.tally["equal answers"] > STATEMENTS * 0.5, found
    assert both.tally["equal changes"] > STATEMENTS * 0.1, found
