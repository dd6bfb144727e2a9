"""The LSTM with connections from the previous step's gates to all gates."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from rnnjax.cells.cell import CellParams, PointwiseCell, add_to_gate, check_one_axis, sigmoid
from rnnjax.initializers import Initializer, small_normal
from rnnjax.maps import Dense, per_row
from rnnjax.types import Features, Gates, Hidden, Size


class FullGateState(NamedTuple):
    """Each `(B, H)`; the last three are the activations of the gates."""

    hidden: Hidden
    cell: Hidden
    input: Hidden
    forget: Hidden
    output: Hidden


class FullGateExtras(NamedTuple):
    """The peepholes, and the kernel from the three gates of the previous step."""

    input_peephole: Float[Array, " hidden"]
    forget_peephole: Float[Array, " hidden"]
    output_peephole: Float[Array, " hidden"]
    gate_kernel: Float[Array, "gates gates"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FullGateLSTM(PointwiseCell):
    """Peephole LSTM with full gate recurrence (FGR); the gate blocks are in the order i, f, g, o.

        i, f, g, o = split(x_t W + h_{t-1} R + b)
        e_i, e_f, e_o = split([input_{t-1}, forget_{t-1}, output_{t-1}] G)
        input_t = sigmoid(i + e_i + p_i * c_{t-1})
        forget_t = sigmoid(f + e_f + p_f * c_{t-1})
        c_t = forget_t * c_{t-1} + input_t * tanh(g)
        output_t = sigmoid(o + e_o + p_o * c_t)
        h_t = output_t * tanh(c_t)

    G `(3H, 3H)` consists of nine matrices, from every gate to every gate. `recurrent_init` initialises each of them
    separately, and `peephole_init` each p `(H,)`, as in `PeepholeLSTM`. The gates before the first step are 0.
    `forget_bias` is added to the forget block of the bias when it is initialised. Source: Greff, Srivastava, Koutník,
    Steunebrink and Schmidhuber 2015, "LSTM: A Search Space Odyssey" (its eighth variant), and the original formulation
    of Hochreiter and Schmidhuber 1997. Raises ValueError for a hidden size of several axes.
    """

    gates: ClassVar[int] = 4
    state_type: ClassVar[Any] = FullGateState

    forget_bias: float = 1.0
    peephole_init: Initializer = small_normal

    def check_sizes(self, input_size: Size, hidden_size: Size) -> None:
        """Raises ValueError for sizes below 1 and a hidden size of several axes."""
        super().check_sizes(input_size, hidden_size)
        check_one_axis(hidden_size)

    def init_params(
        self, key: PRNGKeyArray, input_size: Size, hidden_size: Size, dtype: Any = jnp.float32
    ) -> CellParams:
        """The maps with the forget bias added, and the extras. Raises ValueError for sizes that do not fit."""
        params = super().init_params(key, input_size, hidden_size, dtype)
        return params._replace(input=add_to_gate(params.input, 1, 4, self.forget_bias))

    def init_extras(self, key: PRNGKeyArray, inputs: Features, hidden: Features, dtype: Any) -> FullGateExtras:
        """Three peepholes `(H,)` and `G (3H, 3H)`."""
        *peephole_keys, gate_key = jax.random.split(key, 4)
        rows = [
            Dense().init(own, hidden, hidden, 3, self.recurrent_init, dtype, per_gate=True)
            for own in jax.random.split(gate_key, 3)
        ]
        return FullGateExtras(
            *(self.peephole_init(own, hidden, dtype) for own in peephole_keys),
            # Mapped as a tree, so that an initialiser's Flax box is kept.
            gate_kernel=jax.tree.map(lambda *parts: jnp.concatenate(parts), *rows),
        )

    def update(self, extras: FullGateExtras, inputs: Gates, recurrent: Gates, state: FullGateState) -> FullGateState:
        """The equation above, from `a (B, 4H)` and `r (B, 4H)`."""
        i, f, g, o = jnp.split(inputs + recurrent, 4, axis=-1)
        before = jnp.concatenate([state.input, state.forget, state.output], axis=-1)
        e_i, e_f, e_o = jnp.split(before @ extras.gate_kernel, 3, axis=-1)
        p_i, p_f, p_o = (per_row(peephole, state.cell) for peephole in extras[:3])
        input = sigmoid(i + e_i + p_i * state.cell)
        forget = sigmoid(f + e_f + p_f * state.cell)
        cell = forget * state.cell + input * jnp.tanh(g)
        output = sigmoid(o + e_o + p_o * cell)
        return FullGateState(output * jnp.tanh(cell), cell, input, forget, output)
