import jax
import pytest


@pytest.fixture(autouse=True)
def compilation_cache():
    """A benchmark measures compile times and switches JAX's cache off: the tests after it need it."""
    before = jax.config.read("jax_enable_compilation_cache")
    yield
    jax.config.update("jax_enable_compilation_cache", before)
