"""Steps, loops and files, whatever the compiled numbers come from."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def compile_quickly(quick_compile):
    """For every test of this folder."""
