"""Dropout in its forms: of units, of a recurrent kernel, of the state. Masks are drawn row by row, so that a batch
split over devices drops the same."""

from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.cells import Cell
from rnnjax.types import Params


def check_rate(name: str, rate: float) -> None:
    """Raises ValueError for a rate outside [0, 1)."""
    if not 0 <= rate < 1:
        raise ValueError(f"{name}: expected 0 <= rate < 1, got {rate}")


def keep_rows(key: jax.Array, rate: float, rows: jax.Array, shape: tuple[int, ...], batch_axis: int = 0) -> jax.Array:
    """True where kept, of `shape` with the batch at `batch_axis`: each row's mask hangs on the key and its number."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, rows)
    return jax.vmap(lambda row: jax.random.bernoulli(row, 1 - rate, shape), out_axes=batch_axis)(keys)


class Dropout(nn.Module):
    """Dropout whose mask is drawn row by row, so that a batch split over devices drops the same units.

    `shared_axes` share one mask: `(1,)` drops the same features at every step, as in Gal and Ghahramani 2016,
    "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks". Kept units are scaled by
    `1 / (1 - rate)`. Raises ValueError for a rate outside [0, 1).
    """

    rate: float
    shared_axes: tuple[int, ...] = ()

    def __post_init__(self):
        check_rate("dropout rate", self.rate)
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: jax.Array, rows: jax.Array | None = None, *, deterministic: bool = True) -> jax.Array:
        """The inputs `(B, ...)` with units dropped, unless deterministic.

        `rows (B,)` numbers each row within the whole batch; None counts from 0. Draws from the rng "dropout".
        """
        if deterministic or self.rate == 0:
            return inputs
        rows = jnp.arange(inputs.shape[0]) if rows is None else rows
        shared = {axis % inputs.ndim for axis in self.shared_axes}
        shape = tuple(1 if axis in shared else size for axis, size in enumerate(inputs.shape))[1:]
        keep = keep_rows(self.make_rng("dropout"), self.rate, rows, shape)
        return jnp.where(keep, inputs / (1 - self.rate), 0)


def drop_weights(key: jax.Array, params: Params, rate: float) -> Params:
    """The parameters with weights of the recurrent kernel dropped, one mask for all rows; the rest is scaled by
    `1 / (1 - rate)`.

    Sources: Wan et al. 2013, "Regularization of Neural Networks using DropConnect"; Merity, Keskar and Socher
    2017, "Regularizing and Optimizing LSTM Language Models".
    """
    kernel = params.recurrent_kernel
    keep = jax.random.bernoulli(key, 1 - rate, kernel.shape)
    return params._replace(recurrent_kernel=jnp.where(keep, kernel / (1 - rate), 0))


def check_has_kernel(cell: Cell, params: Params) -> None:
    """Raises ValueError for a cell without the matrix whose weights are to be dropped."""
    if getattr(getattr(params, "recurrent_kernel", None), "ndim", 0) != 2:
        raise ValueError(f"weight_dropout: expected a cell with a recurrent kernel matrix, got {type(cell).__name__}")


def state_mask(key: jax.Array, rate: float, rows: jax.Array, hidden_size: int) -> jax.Array:
    """What multiplies the hidden state `(B, H)` at every step: 0, or `1 / (1 - rate)`."""
    return keep_rows(key, rate, rows, (hidden_size,)) / (1 - rate)


def zoneout_rates(cell: Cell, zoneout: float | Mapping[str, float]) -> dict[str, float]:
    """The rate of each state field that has one above 0, a single number being that of all fields.

    Raises ValueError for a rate outside [0, 1), or a field that the cell's state has not.
    """
    if not zoneout:
        return {}
    fields = jax.eval_shape(lambda: cell.init_state(1, 1))._fields
    rates = zoneout if isinstance(zoneout, Mapping) else dict.fromkeys(fields, zoneout)
    for name, rate in rates.items():
        if name not in fields:
            raise ValueError(f"zoneout: expected state fields of {fields}, got {name!r}")
        check_rate("zoneout", rate)
    # In the state's own order, so that equal mappings draw equal masks.
    return {name: rates[name] for name in fields if rates.get(name)}


def zoneout_masks(
    make_key: Callable[[], jax.Array], rates: Mapping[str, float], rows: jax.Array, time: int, hidden_size: int
) -> dict[str, jax.Array]:
    """For each state field, True `(T, B, H)` where a unit keeps its value: new at every step."""
    return {name: ~keep_rows(make_key(), rate, rows, (time, hidden_size), batch_axis=1) for name, rate in rates.items()}
