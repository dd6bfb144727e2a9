"""The LSTM with layer normalisation."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from rnnjax.cells.cell import CellParams, sigmoid
from rnnjax.cells.lstm import LSTM, LSTMState
from rnnjax.dtypes import at_least_float32
from rnnjax.maps import per_row
from rnnjax.types import Gates, Size, features

# Added to a variance, which may be zero: the variance of `h_0 R` is zero, because h_0 is zeros.
EPSILON = 1e-5


class LayerNorms(NamedTuple):
    """The gains and shifts after normalisation."""

    input_gain: Float[Array, " gates"]
    recurrent_gain: Float[Array, " gates"]
    shift: Float[Array, " gates"]
    cell_gain: Float[Array, " hidden"]
    cell_shift: Float[Array, " hidden"]


def normalise(x: jax.Array) -> jax.Array:
    """Normalise the features of each row to mean 0 and variance 1, both computed in at least float32."""
    wide = x.astype(at_least_float32(x.dtype))
    centred = wide - wide.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return (centred * jax.lax.rsqrt(variance + EPSILON)).astype(x.dtype)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerNormLSTM(LSTM):
    """LSTM with both products and the cell's output normalised; the gate blocks are in the order i, f, g, o.

        i, f, g, o = split(gain_x * LN(x_t W) + gain_h * LN(h_{t-1} R) + shift)
        c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(gain_c * LN(c_t) + shift_c)

    LN uses the mean and variance over the last axis: all four blocks together for the products, H for the cell, and
    with `Conv` maps the channels of each position. The paper adds a shift to each normalised product and a bias to
    their sum. These are redundant and are one parameter here, initialised like the bias of an LSTM (`bias_init`,
    `forget_bias`). Gains start at 1. Source: Ba, Kiros and Hinton 2016, "Layer Normalization", equations 20-22. Raises
    ValueError for a second bias.
    """

    elementwise: ClassVar[bool] = False

    def __post_init__(self):
        if self.second_bias:
            raise ValueError("second_bias: expected False, since both products share one shift, got True")

    def init_params(
        self, key: PRNGKeyArray, input_size: Size, hidden_size: Size, dtype: Any = jnp.float32
    ) -> CellParams:
        """The parameters of an LSTM (the bias is the shift), and the gains. Raises ValueError for a size below 1."""
        lstm = super().init_params(key, input_size, hidden_size, dtype)
        hidden = jnp.ones(features(hidden_size)[-1], dtype)
        gates = jnp.tile(hidden, 4)
        norms = LayerNorms(gates, gates, lstm.input.bias, hidden, jnp.zeros_like(hidden))
        return lstm._replace(input=lstm.input._replace(bias=None), extras=norms)

    def update(self, extras: LayerNorms, inputs: Gates, recurrent: Gates, state: LSTMState) -> LSTMState:
        """The equation above, from `a (B, 4H)` and `r (B, 4H)`."""
        a = per_row(extras.input_gain, inputs) * normalise(inputs)
        r = per_row(extras.recurrent_gain, recurrent) * normalise(recurrent)
        z = a + r + per_row(extras.shift, inputs)
        i, f, g, o = jnp.split(z, 4, axis=-1)
        input, forget, candidate, output = sigmoid(i), sigmoid(f), jnp.tanh(g), sigmoid(o)
        cell = forget * state.cell + input * candidate
        c = per_row(extras.cell_gain, cell) * normalise(cell) + per_row(extras.cell_shift, cell)
        return LSTMState(hidden=output * jnp.tanh(c), cell=cell)
