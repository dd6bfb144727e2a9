"""The parameters of an NNX layer: `nnx.Param` in nested `nnx.Dict`, with the same names as in Linen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
from flax import nnx
from flax.core import meta

import rnnjax.layers as linen
from rnnjax.layers.forward import one_row, start_state
from rnnjax.modes import refuse_shared
from rnnjax.types import State


def as_variables(tree: Any) -> Any:
    """Nested dicts of arrays as `nnx.Dict` of `nnx.Param`. The axis names given by an initialiser are kept.

    Raises ValueError for an initialiser of `nnx.with_partitioning`: its box is not a pytree, so cells cannot add to the
    array in it.
    """
    if isinstance(tree, dict):
        return nnx.Dict({name: as_variables(value) for name, value in tree.items()})
    if isinstance(tree, meta.AxisMetadata):
        metadata: Any = tree
        options = metadata.to_nnx_metadata() if hasattr(metadata, "to_nnx_metadata") else dict(vars(metadata))
        return nnx.Param(options.pop("value"), **options, linen_meta_type=type(tree))
    if isinstance(tree, nnx.VariableMetadata):
        raise ValueError(
            "initialisers: expected arrays or boxes of flax.linen.with_partitioning, got a box of "
            "flax.nnx.with_partitioning"
        )
    return nnx.Param(tree)


def as_arrays(variables: Any) -> Any:
    """The inverse of `as_variables`."""
    if isinstance(variables, nnx.Dict):
        # Not `.items()`: a parameter may be named "items".
        return {name: as_arrays(variables[name]) for name in iter(variables)}
    return variables.get_value()


class InitialState(nnx.Module):
    """The default initial state of a layer, with a parameter for each field if it is learnt."""

    def __init__(self, layer: linen.RNN):
        # The underscore avoids a clash: no state field begins with one.
        self._layer = layer
        if layer.learn_initial_state:
            for name, row in one_row(layer.cell, layer.hidden_size, layer.param_dtype).items():
                setattr(self, name, nnx.Param(row))

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The parameter of a field."""

    def __call__(self, batch_size: int, dtype: Any = None) -> State:
        """The state for this number of sequences, each array `(B, ...)`."""
        layer = self._layer
        return start_state(layer, batch_size, dtype or layer.dtype or layer.param_dtype, learnt(self))


def learnt(state: InitialState) -> dict[str, jax.Array] | None:
    """The learnt rows by field; None if nothing is learnt."""
    rows = {name: value.get_value() for name, value in vars(state).items() if isinstance(value, nnx.Param)}
    return rows or None


def check_separate(what: str, layers: Sequence[nnx.Module]) -> None:
    """Raises ValueError for a layer or parameter that is used twice; TypeError for a layer that is no NNX module."""
    for layer in layers:
        if not isinstance(layer, nnx.Module):
            kind = type(layer)
            raise TypeError(f"{what}: expected a layer of rnnjax.nnx, got {kind.__module__}.{kind.__name__}")
    kinds = nnx.Module | nnx.Variable
    refuse_shared(what, [[part for _, part in nnx.iter_graph(layer) if isinstance(part, kinds)] for layer in layers])
