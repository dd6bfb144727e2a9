"""A cell's parameters within a Flax module."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax

from rnnjax.cells import Cell
from rnnjax.types import Params


def declare_cell(
    module: nn.Module, cell: Cell, input_size: int, hidden_size: int, dtype: Any, param_dtype: Any
) -> Params:
    """The cell's parameters as one entry "cell" of the module, a plain dict there; cast to the compute dtype."""

    def fields(key: jax.Array) -> dict[str, jax.Array]:
        params = cell.init_params(key, input_size, hidden_size, param_dtype)
        return {name: value for name, value in params._asdict().items() if value is not None}

    return cell_params(cell, module.param("cell", fields), input_size, hidden_size, dtype)


def cell_params(cell: Cell, values: Mapping[str, jax.Array], input_size: int, hidden_size: int, dtype: Any) -> Params:
    """A cell's parameters from the dict that a module keeps them in, cast to a dtype."""
    template = jax.eval_shape(lambda: cell.init_params(jax.random.key(0), input_size, hidden_size))
    params = type(template)(**{name: values.get(name) for name in template._fields})
    return jax.tree.map(lambda leaf: leaf.astype(dtype), params)
