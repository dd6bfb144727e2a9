"""Conversion of weights to and from Keras, PyTorch and Flax, as NumPy arrays."""

from rnnjax.interop.flax import from_flax as from_flax
from rnnjax.interop.flax import to_flax as to_flax
from rnnjax.interop.keras import from_keras as from_keras
from rnnjax.interop.keras import to_keras as to_keras
from rnnjax.interop.torch import from_torch as from_torch
from rnnjax.interop.torch import to_torch as to_torch
