"""The real-gated linear recurrent unit of Griffin."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from rnnjax.cells.cell import CellParams, sigmoid
from rnnjax.cells.linear import LinearCell
from rnnjax.cells.ring import check_ring, log_radius
from rnnjax.dtypes import widen
from rnnjax.initializers import Initializer, fan_in_normal
from rnnjax.maps import per_row
from rnnjax.types import Features, Size, features

# The largest slope of the square root: without it, a decay of 1 would have an infinite gradient.
STEEPEST = 1000.0


@jax.custom_jvp
def bounded_sqrt(x: jax.Array) -> jax.Array:
    """`sqrt(x)` with a slope of at most `STEEPEST`."""
    return jnp.sqrt(x)


@bounded_sqrt.defjvp
def _slope(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (tangent,) = primals, tangents
    return bounded_sqrt(x), tangent * 0.5 / jnp.sqrt(jnp.maximum(x, 0.25 / STEEPEST**2))


class RGLRUExtras(NamedTuple):
    """The rate of each unit; its decay is `exp(-sharpness * softplus(rate))` with an open gate."""

    rate: Float[Array, " hidden"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RGLRU(LinearCell):
    """The RG-LRU; inputs and state have the same size.

        r_t, i_t = sigmoid(x_t W + b)              recurrence gate and input gate, (B, H) each
        a_t = exp(-sharpness * r_t * softplus(rate))
        h_t = a_t * h_{t-1} + sqrt(1 - a_t^2) * (i_t * x_t)

    W is dense; with `input_map=BlockDiagonal(heads)`, heads do not mix, as in the paper's code. `a_t` with an open gate
    starts as `r^sharpness`, for r uniform over the area of a ring, `r_min <= r <= r_max`. The slope of the square root
    is at most 1000, since a closed gate would make it infinite. Source: De, Smith, Fernando, Botev and others 2024,
    "Griffin: Mixing Gated Linear Recurrences with Local Attention for Efficient Language Models". Raises ValueError for
    different sizes, unless `0 <= r_min < r_max < 1`, and for a sharpness that is not above 0.
    """

    gates: ClassVar[int] = 2

    kernel_init: Initializer = dataclasses.field(default=fan_in_normal(1.0))
    sharpness: float = 8.0
    r_min: float = 0.9
    r_max: float = 0.999

    def __post_init__(self):
        check_ring(self.r_min, self.r_max)
        if not self.sharpness > 0:
            raise ValueError(f"sharpness: expected a number above 0, got {self.sharpness}")

    def check_sizes(self, input_size: Size, hidden_size: Size) -> None:
        """Raises ValueError unless both sizes are equal, with one feature axis."""
        super().check_sizes(input_size, hidden_size)
        if features(input_size) != features(hidden_size):
            raise ValueError(f"hidden_size: expected the size of the inputs, {input_size}, got {hidden_size}")

    def init_extras(self, key: PRNGKeyArray, inputs: Features, hidden: Features, dtype: Any) -> RGLRUExtras:
        """Rates whose softplus is `-log r`, for r in the ring."""
        log_r = log_radius(key, hidden, self.r_min, self.r_max, dtype)
        return RGLRUExtras(jnp.log(jnp.expm1(-log_r)).astype(dtype))

    def coefficients(self, params: CellParams, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The equation above, from the logarithm of the decay."""
        rate, x = widen((params.extras.rate, inputs))
        r, i = jnp.split(sigmoid(self.pre_activations(params, inputs)), 2, axis=-1)
        log_decay = -self.sharpness * r * per_row(jax.nn.softplus(rate), r)
        return jnp.exp(log_decay), bounded_sqrt(-jnp.expm1(2 * log_decay)) * i * x
