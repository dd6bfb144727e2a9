"""The coupled oscillatory recurrent network: the units are coupled damped oscillators."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp

from rnnjax.cells.cell import PointwiseCell
from rnnjax.types import Gates, Hidden


class CoRNNState(NamedTuple):
    """`hidden (B, H)`, the positions of the oscillators, and `velocity (B, H)`."""

    hidden: Hidden
    velocity: Hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoRNN(PointwiseCell):
    """The coRNN cell.

        z_t = z_{t-1} + dt * (tanh(x_t W + y_{t-1} R + z_{t-1} Z + b) - gamma * y_{t-1} - epsilon * z_{t-1})
        y_t = y_{t-1} + dt * z_t

    y is `hidden`, z is `velocity`. Z is a kernel of the recurrent map and is initialised, parametrized and dropped like
    R. `state_dropout` of a layer affects only R. `dt`, `gamma` (the square of the frequencies) and `epsilon` (the
    damping) are chosen for each task. Source: Rusch and Mishra 2021, "Coupled Oscillatory Recurrent Neural Network
    (coRNN): An Accurate and (Gradient) Stable Architecture for Learning Long Time Dependencies". Raises ValueError for
    a dt, gamma or epsilon that is not above 0.
    """

    gates: ClassVar[int] = 1
    state_type: ClassVar[Any] = CoRNNState
    further_kernels: ClassVar[Mapping[str, int]] = MappingProxyType({"velocity_kernel": 1})

    dt: float = 0.05
    gamma: float = 1.0
    epsilon: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        for name in ("dt", "gamma", "epsilon"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected a number above 0, got {getattr(self, name)}")

    def update(self, extras: Mapping[str, Any], inputs: Gates, recurrent: Gates, state: CoRNNState) -> CoRNNState:
        """The equation above, from `a (B, H)` and `r (B, H)`."""
        force = jnp.tanh(inputs + recurrent + self.further_product(extras, "velocity_kernel", state.velocity))
        velocity = state.velocity + self.dt * (force - self.gamma * state.hidden - self.epsilon * state.velocity)
        return CoRNNState(hidden=state.hidden + self.dt * velocity, velocity=velocity)
