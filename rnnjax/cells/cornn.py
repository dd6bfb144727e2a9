"""The coupled oscillatory recurrent network: units are damped oscillators that drive each other."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from rnnjax.cells.cell import CellParams, PointwiseCell
from rnnjax.maps import Dense, Map, MapParams
from rnnjax.types import Features, Gates, Hidden


class CoRNNState(NamedTuple):
    """`hidden (B, H)`, where the oscillators are, and `velocity (B, H)`."""

    hidden: Hidden
    velocity: Hidden


class VelocityKernel(NamedTuple):
    """What reads the velocities, or what the recurrent map's parametrization keeps in its place."""

    velocity_kernel: Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoRNN(PointwiseCell):
    """The coRNN cell.

        z_t = z_{t-1} + dt * (tanh(x_t W + y_{t-1} R + z_{t-1} Z + b) - gamma * y_{t-1} - epsilon * z_{t-1})
        y_t = y_{t-1} + dt * z_t

    y is `hidden`, z is `velocity`. Z is a kernel of the recurrent map, drawn and parametrized as R is, but a layer's
    `state_dropout` and `weight_dropout` reach R alone. `dt`, `gamma` (the square of the frequencies) and `epsilon` (the
    damping) are chosen for each task. Source: Rusch and Mishra 2021, "Coupled Oscillatory Recurrent Neural Network
    (coRNN): An Accurate and (Gradient) Stable Architecture for Learning Long Time Dependencies". Raises ValueError for
    a dt, gamma or epsilon that is not above 0, and without a recurrent map.
    """

    gates: ClassVar[int] = 1
    state_type: ClassVar[Any] = CoRNNState

    dt: float = 0.05
    gamma: float = 1.0
    epsilon: float = 1.0
    recurrent_map: Map = dataclasses.field(default=Dense())

    def __post_init__(self):
        for name in ("dt", "gamma", "epsilon"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected a number above 0, got {getattr(self, name)}")
        if not isinstance(self.recurrent_map, Map):
            raise ValueError(
                f"recurrent_map: expected a map, since it reads the velocities too, got {self.recurrent_map}"
            )

    def init_extras(self, key: PRNGKeyArray, inputs: Features, hidden: Features, dtype: Any) -> VelocityKernel:
        """`Z`, a block as the recurrent map's."""
        return VelocityKernel(
            self.recurrent_map.init(key, hidden, hidden, 1, self.recurrent_init, dtype, per_gate=True)
        )

    def effective(self, params: CellParams) -> tuple[PointwiseCell, CellParams]:
        """The cell with maps that have no parametrization, and all three kernels themselves."""
        _, velocity = self.recurrent_map.effective(MapParams(params.extras.velocity_kernel))
        cell, params = super().effective(params)
        return cell, params._replace(extras=VelocityKernel(velocity.kernel))

    def update(self, extras: VelocityKernel, inputs: Gates, recurrent: Gates, state: CoRNNState) -> CoRNNState:
        """The equation above, from `a (B, H)` and `r (B, H)`."""
        force = jnp.tanh(inputs + recurrent + self.recurrent_map.product(extras.velocity_kernel, state.velocity, 1))
        velocity = state.velocity + self.dt * (force - self.gamma * state.hidden - self.epsilon * state.velocity)
        return CoRNNState(hidden=state.hidden + self.dt * velocity, velocity=velocity)
