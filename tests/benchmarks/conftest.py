import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def compilation_cache():
    """A benchmark measures compile times and switches JAX's cache off: the tests after it need it."""
    name = "jax_enable_compilation_cache"
    before = getattr(jax.config, name)
    yield
    jax.config.update(name, before)
