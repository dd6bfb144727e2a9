"""Gradients over time, in networks at initialisation."""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.gradient_flow.config import GradientFlow
from experiments.gradient_flow.recall import INPUTS, sequences
from rnnjax import GRU, LSTM, Cell, Elman
from rnnjax.analysis import Memory, gradient_memory, gradient_norms, jacobian_products
from rnnjax.runs.metrics import finite
from rnnjax.tables import table
from rnnjax.training.capacity import parameters_of
from rnnjax.types import Params


class Net(NamedTuple):
    """A cell. If it is not driven, all its inputs are zeros, and its state stays at the origin."""

    name: str
    cell: Cell
    driven: bool = True


NETS = (
    # The slope of tanh is 1 at the origin, so each step Jacobian is the recurrent kernel: the linear case.
    Net("Elman at rest", Elman(), driven=False),
    Net("Elman", Elman()),
    Net("GRU", GRU()),
    Net("LSTM, forget bias 1", LSTM()),
    Net("LSTM, forget bias 5", LSTM(forget_bias=5.0)),
)


class Row(NamedTuple):
    """The measurements of one net with one scale. The curves `(T,)` are log10 of medians over the batch.

    `memory` is computed from the gradient with respect to the whole state, since an LSTM carries most of it in its cell
    state.
    """

    net: str
    scale: float
    memory: Memory
    hidden_gradients: np.ndarray
    state_gradients: np.ndarray
    singular_values: np.ndarray

    def line(self) -> dict[str, Any]:
        """The row as JSON values."""
        (measured,) = finite([self.memory.measured])
        curves = {f"log10_{name}": finite(values) for name, values in self._asdict().items() if "_" in name}
        return {"net": self.net, "scale": self.scale, **self.memory._asdict(), "measured": measured, **curves}


def scaled_params(cell: Cell, scale: float, config: GradientFlow) -> Params:
    """The initial parameters of the cell, which are the same for all scales; the recurrent kernel is scaled."""
    params = parameters_of(lambda: cell.init_params(jax.random.key(config.seed), INPUTS, config.hidden))
    recurrent = params.recurrent._replace(kernel=scale * params.recurrent.kernel)
    return params._replace(recurrent=recurrent)


def measure(config: GradientFlow) -> Iterator[Row]:
    """Measures each net with each scale. The loss is the projection of the last hidden state on a random unit vector.

    Therefore the norm of the gradient at the last step is 1, for each sequence and each cell.
    """
    direction_key, inputs_key = jax.random.split(jax.random.key(config.seed))
    direction = jax.random.normal(direction_key, (config.hidden,))
    direction /= jnp.linalg.norm(direction)
    inputs, _ = sequences(inputs_key, config.time, config.batch_size, config.noise)

    def loss(states: Any) -> jax.Array:
        return jnp.sum(states.hidden[-1] @ direction)

    @functools.partial(jax.jit, static_argnums=0)
    def curves(*problem: Any) -> list[jax.Array]:
        norms, products = gradient_norms(loss, *problem), jacobian_products(*problem)
        return [jnp.median(log10, axis=1) for log10 in (norms.fields.hidden, norms.whole, products)]

    for net in NETS:
        state = net.cell.init_state(config.batch_size, config.hidden)
        read = inputs if net.driven else jnp.zeros_like(inputs)
        for scale in sorted(config.scales):
            measured = curves(net.cell, scaled_params(net.cell, scale, config), read, state)
            hidden, whole, singular_values = map(np.asarray, measured)
            memory = gradient_memory(whole, scale, config.steps_back)
            yield Row(net.name, scale, memory, hidden, whole, singular_values)


def power_of_ten(log10: float) -> str:
    """10**log10 with two digits, also outside the range of floats."""
    if not math.isfinite(log10):
        return "0" if log10 < 0 else str(log10)
    if abs(log10) < 2:
        return f"{10**log10:.2g}"
    exponent = math.floor(log10 + 0.0218)  # 9.51 and more is rounded up to the next power
    return f"{10 ** (log10 - exponent):.1f}e{exponent:+03d}"


def memory_table(rows: Sequence[Row], config: GradientFlow) -> str:
    """For each net and scale: the linear prediction, the measurements, and after how many steps 1% is left."""
    back = config.steps_back
    headers = ("net", "scale", f"scale^{back}", "|dL/dh|", "|dL/ds|", "sigma_max", "a step", "under 1% after")
    cells = [
        (
            row.net,
            f"{row.scale:g}",
            power_of_ten(row.memory.predicted),
            power_of_ten(row.hidden_gradients[-1 - back]),
            power_of_ten(row.memory.measured),
            power_of_ten(row.singular_values[-1 - back]),
            f"{row.memory.decay:.3f}",
            f"never within {config.time - 1}" if row.memory.horizon is None else row.memory.horizon,
        )
        for row in rows
    ]
    return table(headers, cells)
