"""The parameters of a cell in the form stored by a module: nested dicts of arrays."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.cells import Cell
from rnnjax.types import Params, Size


def as_dicts(tree: Any) -> Any:
    """Nested NamedTuples as dicts without None and empty entries, for readable names in checkpoints."""
    if hasattr(tree, "_asdict"):
        tree = tree._asdict()
    if not isinstance(tree, dict):
        return tree
    parts = {name: as_dicts(value) for name, value in tree.items() if value is not None}
    return {name: value for name, value in parts.items() if not (isinstance(value, dict) and not value)}


def _as_template(template: Any, values: Any) -> Any:
    """The inverse of `as_dicts`: a tree with the structure of the template."""
    if hasattr(template, "_fields"):
        given = {} if values is None else values
        parts = {name: _as_template(getattr(template, name), given.get(name)) for name in template._fields}
        return type(template)(**parts)
    if isinstance(template, dict):
        given = {} if values is None else values
        return {name: _as_template(template[name], given.get(name)) for name in template}
    return None if template is None else values


def declare_cell(
    module: nn.Module, cell: Cell, input_size: Size, hidden_size: Size, dtype: Any, param_dtype: Any
) -> Params:
    """The parameters of the cell, cast to the compute dtype; the module stores them as nested dicts under "cell"."""

    def fields(key: jax.Array) -> Any:
        return as_dicts(cell.init_params(key, input_size, hidden_size, param_dtype))

    return cell_params(cell, module.param("cell", fields), input_size, hidden_size, dtype)


def cell_params(
    cell: Cell, values: Mapping[str, Any], input_size: Size, hidden_size: Size, dtype: Any = None
) -> Params:
    """The parameters of a cell from the dicts stored by a module, `cast` to a dtype if one is given."""
    template = jax.eval_shape(lambda: cell.init_params(jax.random.key(0), input_size, hidden_size))
    params = _as_template(template, values)
    return params if dtype is None else cast(params, dtype)


def cast(params: Params, dtype: Any) -> Params:
    """The parameters with real floating-point arrays cast to this dtype; complex and integer arrays are unchanged."""
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, params)
