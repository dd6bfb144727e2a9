"""How many examples a test with random input takes."""

from hypothesis import settings

QUICK, ALL = 20, 300


def at_most(examples: int) -> int:
    """A test's own number of examples under `--hypothesis-profile=ci`; else no more than `QUICK`."""
    return min(examples, settings().max_examples)
