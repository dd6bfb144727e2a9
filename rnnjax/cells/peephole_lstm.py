"""The LSTM with peepholes (connections from the cell state to the gates), and its variants without one part."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from rnnjax.cells.cell import CellParams, PointwiseCell, add_to_gate, sigmoid
from rnnjax.cells.lstm import LSTMState
from rnnjax.initializers import Initializer, small_normal
from rnnjax.maps import per_row
from rnnjax.types import Features, Gates, Hidden, Size


class Peepholes(NamedTuple):
    """The peephole of each gate."""

    input_peephole: Float[Array, "*hidden"] | None = None
    forget_peephole: Float[Array, "*hidden"] | None = None
    output_peephole: Float[Array, "*hidden"] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class PeepholeLSTM(PointwiseCell):
    """LSTM with peepholes; the gate blocks are in the order i, f, g, o.

        i, f, g, o = split(x_t W + h_{t-1} R + b)
        c_t = sigmoid(f + p_f * c_{t-1}) * c_{t-1} + sigmoid(i + p_i * c_{t-1}) * tanh(g)
        h_t = sigmoid(o + p_o * c_t) * tanh(c_t)

    Each option removes one part, with its block of the maps and its peephole. Options can be combined. The right column
    is the name in Greff et al. of the network without that part:

        input_gate=False          sigmoid(i ..) is 1                          NIG
        forget_gate=False         sigmoid(f ..) is 1: the LSTM of 1997        NFG
        output_gate=False         sigmoid(o ..) is 1                          NOG
        input_activation=False    g instead of tanh(g)                        NIAF
        output_activation=False   c_t instead of tanh(c_t) in h_t             NOAF
        coupled=True              sigmoid(f ..) is 1 - sigmoid(i ..)          CIFG
        peepholes=False           p is 0: the LSTM cell                       NP

    Their eighth variant, full gate recurrence, is `FullGateLSTM`.

    `forget_bias` is added to the forget block of the bias when it is initialised (with `coupled`: subtracted from the
    input block, which has the same effect). `peephole_init` initialises each p `(H,)`: normal with standard deviation
    0.1, as in Greff et al. Sources: Gers and Schmidhuber 2000, "Recurrent Nets that Time and Count"; Gers, Schraudolph
    and Schmidhuber 2002, "Learning Precise Timing with LSTM Recurrent Networks"; Greff, Srivastava, Koutník,
    Steunebrink and Schmidhuber 2015, "LSTM: A Search Space Odyssey". Raises ValueError for coupled gates if one of them
    is removed.
    """

    state_type: ClassVar[Any] = LSTMState
    elementwise: ClassVar[bool] = True

    forget_bias: float = 1.0
    input_gate: bool = True
    forget_gate: bool = True
    output_gate: bool = True
    input_activation: bool = True
    output_activation: bool = True
    coupled: bool = False
    peepholes: bool = True
    peephole_init: Initializer = small_normal

    def __post_init__(self):
        if self.coupled and not (self.input_gate and self.forget_gate):
            raise ValueError(
                f"coupled: expected both gates, got input_gate={self.input_gate} and forget_gate={self.forget_gate}"
            )

    @property
    def blocks(self) -> tuple[str, ...]:
        """The names of the gate blocks, in order."""
        present = {
            "input": self.input_gate,
            "forget": self.forget_gate and not self.coupled,
            "candidate": True,
            "output": self.output_gate,
        }
        return tuple(name for name, is_present in present.items() if is_present)

    @property
    def gates(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The number of gate blocks, which depends on the options."""
        return len(self.blocks)

    def init_params(
        self, key: PRNGKeyArray, input_size: Size, hidden_size: Size, dtype: Any = jnp.float32
    ) -> CellParams:
        """The maps with the forget bias added, and the peepholes. Raises ValueError for a size below 1."""
        params = super().init_params(key, input_size, hidden_size, dtype)
        gate, amount = ("input", -self.forget_bias) if self.coupled else ("forget", self.forget_bias)
        if gate not in self.blocks:
            return params
        return params._replace(input=add_to_gate(params.input, self.blocks.index(gate), self.gates, amount))

    def init_extras(self, key: PRNGKeyArray, inputs: Features, hidden: Features, dtype: Any) -> Peepholes:
        """A peephole `(H,)` for each gate."""
        keys = zip(("input", "forget", "output"), jax.random.split(key, 3), strict=True)
        gates = self.blocks if self.peepholes else ()
        return Peepholes(
            **{f"{name}_peephole": self.peephole_init(own, hidden, dtype) for name, own in keys if name in gates}
        )

    def update(self, extras: Peepholes, inputs: Gates, recurrent: Gates, state: LSTMState) -> LSTMState:
        """The equation above, from `a (B, G)` and `r (B, G)`."""
        blocks = dict(zip(self.blocks, jnp.split(inputs + recurrent, self.gates, axis=-1), strict=True))

        def gate(name: str, cell: Hidden) -> Hidden | float:
            if name not in blocks:
                return 1.0
            peephole = getattr(extras, f"{name}_peephole")
            return sigmoid(blocks[name] if peephole is None else blocks[name] + per_row(peephole, cell) * cell)

        input = gate("input", state.cell)
        forget = 1 - input if self.coupled else gate("forget", state.cell)
        candidate = jnp.tanh(blocks["candidate"]) if self.input_activation else blocks["candidate"]
        cell = forget * state.cell + input * candidate
        output = gate("output", cell)
        return LSTMState(hidden=output * (jnp.tanh(cell) if self.output_activation else cell), cell=cell)
