"""How tests compile where the compiled numbers are not what is tested."""

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def quickly() -> Iterator[None]:
    """Half of the time that compiling takes optimises."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
