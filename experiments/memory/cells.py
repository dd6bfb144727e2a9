"""The initialisation of cells for memory tasks."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from experiments.memory.config import RecurrentInit
from rnnjax import GRU, LSTM, Cell, PointwiseCell, identity
from rnnjax.cell_names import AnyCell
from rnnjax.cells.names import known_cell
from rnnjax.initializers import Initializer, orthogonal

RECURRENT_INITS: Mapping[str, Initializer] = {"orthogonal": orthogonal, "identity": identity()}


@functools.cache
def scaled(init: Initializer, scale: float) -> Initializer:
    """The initialiser times the scale. Cached, so that cells with the same arguments compare equal."""
    if scale == 1:
        return init
    return lambda *arguments: scale * init(*arguments)


# The biases, in the order of the gates, of a cell whose forget gate (LSTM) or update gate (GRU) starts at sigmoid(m).
# A GRU adds two biases, each with half of m.
CHRONO: Mapping[type[PointwiseCell], Callable[[jax.Array], Sequence[jax.Array]]] = {
    LSTM: lambda m: (-m, m, 0 * m, 0 * m),
    GRU: lambda m: (0 * m, m / 2, 0 * m),
}


@functools.cache
def chrono(kind: type[PointwiseCell], longest: int) -> Initializer:
    """The bias of an LSTM or GRU initialised for memories of 1 to `longest` steps (chrono initialisation).

        m = log(uniform(1, longest - 1))
        LSTM: b_f = m, b_i = -m          GRU: b_z = m / 2, c_z = m' / 2 with another draw m'

    and 0 for the other gates. Source: Tallec and Ollivier 2018, "Can Recurrent Neural Networks Warp Time?", without
    the GRU. Raises ValueError for less than 3 steps.
    """
    if longest < 3:
        raise ValueError(f"chrono: expected a task of at least 3 steps, got {longest}")

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        memory = jnp.log(jax.random.uniform(key, (shape[0] // kind.gates,), dtype, 1, longest - 1))
        return jnp.concatenate(CHRONO[kind](memory))

    return init


def starting(
    name: str | AnyCell,
    *,
    recurrent_init: RecurrentInit = "own",
    recurrent_scale: float = 1.0,
    forget_bias: float | None = None,
    longest: int | None = None,
) -> Cell:
    """The cell of that name, with the given initialisation; with `longest`, that of `chrono`.

    Raises ValueError for an unknown cell, and for an option that the cell does not have.
    """
    cell: Any = known_cell(name)
    if recurrent_init != "own" and isinstance(cell, PointwiseCell) and cell.recurrent_map is None:
        raise ValueError(
            f"recurrent_init: expected own for {name}, which has no recurrent kernel, got {recurrent_init}"
        )
    options: dict[str, Any] = {}
    if (recurrent_init, recurrent_scale) != ("own", 1.0):
        if not hasattr(cell, "recurrent_init"):
            raise ValueError(f"recurrent_init, recurrent_scale: expected a cell with a recurrent_init, got {name}")
        init = RECURRENT_INITS.get(recurrent_init, cell.recurrent_init)
        options["recurrent_init"] = scaled(init, recurrent_scale)
    if forget_bias is not None:
        if longest is not None:
            raise ValueError(f"forget_bias: expected none with chrono, got {forget_bias}")
        if not hasattr(cell, "forget_bias"):
            raise ValueError(f"forget_bias: expected a cell that has one, got {name}")
        options["forget_bias"] = forget_bias
    if longest is not None:
        if type(cell) not in CHRONO:
            raise ValueError(f"chrono: expected gru or lstm, got {name} (--no-chrono trains it)")
        options["bias_init"] = chrono(type(cell), longest)
        if hasattr(cell, "forget_bias"):
            options["forget_bias"] = 0.0
    return dataclasses.replace(cell, **options)
