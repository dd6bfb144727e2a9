"""Conversion of parameters between Linen and NNX; both use the same names."""

from collections.abc import Mapping
from typing import Any, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx
from flax.core import unfreeze
from flax.traverse_util import flatten_dict

Layer = TypeVar("Layer", bound=nnx.Module)


def from_linen(layer: Layer, params: Mapping[str, Any]) -> Layer:
    """The layer with the parameters of the Linen layer with the same options (`layer.linen`).

        layer = from_linen(layer, layer.linen.init(key, inputs)["params"])

    Raises ValueError for `params` with different names or shapes, and lists them.
    """
    given = flatten_dict(nn.unbox(unfreeze(dict(params))), sep="/")
    own = {"/".join(map(str, path)): variable for path, variable in _params(layer)}
    if given.keys() != own.keys():
        raise ValueError(f"params: expected {sorted(own)}, got {sorted(given)}")
    for name, variable in own.items():
        expected, got = (jax.tree.map(jnp.shape, tree) for tree in (variable.get_value(), given[name]))
        if expected != got:
            raise ValueError(f"params/{name}: expected shape {expected}, got {got}")
    for name, variable in own.items():
        variable.set_value(jax.tree.map(jnp.asarray, given[name]))
    return layer


def to_linen(layer: nnx.Module) -> dict[str, Any]:
    """The parameters of the layer for Linen: `layer.linen.apply({"params": to_linen(layer)}, inputs)`."""
    return nnx.to_pure_dict(nnx.state(layer, nnx.Param))


def _params(layer: nnx.Module) -> list[tuple[Any, nnx.Param]]:
    return [(path, part) for path, part in nnx.iter_graph(layer) if isinstance(part, nnx.Param)]
