"""Dropout of units, of recurrent kernels and of the state. Masks are drawn row by row, so that a batch that is split
over devices gets the same masks."""

from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.cells import Cell, CellParams
from rnnjax.modes import is_deterministic
from rnnjax.types import State


def check_rate(name: str, rate: float) -> None:
    """Raises ValueError for a rate outside [0, 1)."""
    if not 0 <= rate < 1:
        raise ValueError(f"{name}: expected 0 <= rate < 1, got {rate}")


def keep_rows(
    key: jax.Array, rate: float, batch: int, rows: jax.Array | None, shape: tuple[int, ...], batch_axis: int = 0
) -> jax.Array:
    """True for kept units: an array of `shape`, with the batch at `batch_axis`.

    The mask of each row depends on the key and the row number; with `rows=None`, rows are numbered from 0. Raises
    ValueError if the number of rows is not the batch size.
    """
    rows = jnp.arange(batch) if rows is None else jnp.asarray(rows)
    if rows.shape != (batch,):
        raise ValueError(f"rows: expected shape {(batch,)}, one number per row of the batch, got {rows.shape}")
    keys = jax.vmap(jax.random.fold_in, (None, 0))(_by_row(key), rows)
    return jax.vmap(lambda row: jax.random.bernoulli(row, 1 - rate, shape), out_axes=batch_axis)(keys)


def _by_row(key: jax.Array) -> jax.Array:
    """A key that draws the same numbers under `vmap` as alone: threefry keys do, "rbg" keys depend on the batch."""
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key)
    if str(jax.random.key_impl(key)) == "threefry2x32":
        return key
    return jax.random.wrap_key_data(jax.random.bits(key, (2,), jnp.uint32), impl="threefry2x32")


class Dropout(nn.Module):
    """Dropout with a mask drawn row by row, so that a batch that is split over devices drops the same units.

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
    def __call__(
        self, inputs: jax.Array, rows: jax.Array | None = None, *, deterministic: bool | None = None
    ) -> jax.Array:
        """The inputs `(B, ...)`, with units dropped if there is an rng "dropout", unless `deterministic=True`.

        `rows (B,)` are the row numbers within the whole batch, so that a part of a batch gets the masks of its rows;
        None counts from 0.
        """
        if is_deterministic(self, deterministic):
            return inputs
        return drop(lambda: self.make_rng("dropout"), self.rate, inputs, rows, self.shared_axes)


def drop(
    make_key: Callable[[], jax.Array],
    rate: float,
    inputs: jax.Array,
    rows: jax.Array | None,
    shared_axes: tuple[int, ...] = (),
) -> jax.Array:
    """Inputs `(B, ...)` with units dropped and the rest scaled by `1 / (1 - rate)`; a rate of 0 makes no key."""
    if rate == 0:
        return inputs
    shared = {axis % inputs.ndim for axis in shared_axes}
    shape = tuple(1 if axis in shared else size for axis, size in enumerate(inputs.shape))[1:]
    keep = keep_rows(make_key(), rate, inputs.shape[0], rows, shape)
    return jnp.where(keep, inputs / (1 - rate), 0)


def drop_words(make_key: Callable[[], jax.Array], rate: float, embedded: jax.Array, tokens: jax.Array) -> jax.Array:
    """Embeddings `(B, T, E)` of tokens `(B, T)`, with whole words dropped: a word is dropped wherever it occurs.

    The embeddings of kept words are scaled by `1 / (1 - rate)`; a rate of 0 makes no key. Source: Gal and Ghahramani
    2016; Merity, Keskar and Socher 2017, "Regularizing and Optimizing LSTM Language Models".
    """
    if rate == 0:
        return embedded
    keys = jax.vmap(jax.random.fold_in, (None, 0))(_by_row(make_key()), tokens.ravel())
    keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate))(keys).reshape(*tokens.shape, 1)
    return jnp.where(keep, embedded / (1 - rate), 0)


def drop_weights(key: jax.Array, cell: Cell, params: CellParams, rate: float) -> CellParams:
    """The parameters with weights of the recurrent kernel and of the further kernels dropped.

    All rows share one mask; the other weights are scaled by `1 / (1 - rate)`.

    Sources: Wan et al. 2013, "Regularization of Neural Networks using DropConnect"; Merity, Keskar and Socher
    2017, "Regularizing and Optimizing LSTM Language Models".
    """

    def dropped(own: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.where(jax.random.bernoulli(own, 1 - rate, kernel.shape), kernel / (1 - rate), 0)

    recurrent, extras = params.recurrent, params.extras
    for number, name in enumerate(getattr(cell, "further_kernels", ())):
        extras = {**extras, name: dropped(jax.random.fold_in(key, number), extras[name])}
    return params._replace(recurrent=recurrent._replace(kernel=dropped(key, recurrent.kernel)), extras=extras)


def state_mask(key: jax.Array, rate: float, hidden: jax.Array, rows: jax.Array | None) -> jax.Array:
    """The mask `(B, H)` that multiplies the hidden state at every step: 0 or `1 / (1 - rate)`."""
    return jnp.where(keep_rows(key, rate, hidden.shape[0], rows, hidden.shape[1:]), 1 / (1 - rate), 0.0)


def check_zoneout(zoneout: float | Mapping[str, float]) -> None:
    """Raises ValueError for a rate outside [0, 1)."""
    for rate in zoneout.values() if isinstance(zoneout, Mapping) else (zoneout,):
        check_rate("zoneout", rate)


def zoneout_rates(state: State, zoneout: float | Mapping[str, float]) -> dict[str, float]:
    """The rate of each state field with a rate above 0; a single number applies to all real and complex fields.

    Raises ValueError for an unknown state field.
    """
    fields = state._fields
    if isinstance(zoneout, Mapping):
        unknown = sorted(set(zoneout) - set(fields))
        if unknown:
            raise ValueError(f"zoneout: expected state fields of {fields}, got {', '.join(map(repr, unknown))}")
        # In the order of the state, so that equal mappings draw equal masks.
        return {name: zoneout[name] for name in fields if zoneout.get(name)}
    real = [name for name in fields if jnp.issubdtype(getattr(state, name).dtype, jnp.inexact)]
    return dict.fromkeys(real, zoneout) if zoneout else {}


def zoneout_masks(
    make_key: Callable[[], jax.Array], rates: Mapping[str, float], state: State, rows: jax.Array | None, time: int
) -> dict[str, jax.Array]:
    """For each state field, an array `(T, B, H)`, True for units that keep their value, drawn anew at every step."""

    def mask(name: str, rate: float) -> jax.Array:
        batch, *features = getattr(state, name).shape
        return ~keep_rows(make_key(), rate, batch, rows, (time, *features), batch_axis=1)

    return {name: mask(name, rate) for name, rate in rates.items()}
