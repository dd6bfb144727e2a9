"""Keras with JAX as its backend."""

import os
from typing import Any

from rnnjax.extras import extra


def load_keras() -> Any:
    """The package. Raises ModuleNotFoundError if it is not installed, or was imported with another backend."""
    os.environ["KERAS_BACKEND"] = "jax"  # read when Keras is first imported
    with extra("peers"):
        import keras

    if keras.backend.backend() != "jax":
        raise ModuleNotFoundError(f"expected Keras on JAX, got Keras on {keras.backend.backend()}")
    return keras
