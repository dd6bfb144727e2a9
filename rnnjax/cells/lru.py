"""The linear recurrent unit: a diagonal linear recurrence with complex states."""

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from rnnjax.cells.cell import CellParams, HiddenState, check_one_axis
from rnnjax.cells.linear import LinearCell
from rnnjax.cells.ring import check_ring, log_radius
from rnnjax.dtypes import widen
from rnnjax.initializers import Initializer, fan_in_normal
from rnnjax.maps import per_row
from rnnjax.types import Features, Size


class LRUExtras(NamedTuple):
    """The decays, the scale of the inputs, and the linear output.

    `output_kernel (2 H, I)` has the real parts of C in its first H rows, and the imaginary parts in the others.
    """

    log_rate: Float[Array, " hidden"]
    log_angle: Float[Array, " hidden"]
    log_scale: Float[Array, " hidden"]
    output_kernel: Float[Array, "parts input"]
    skip: Float[Array, " input"]


def complex_pair(parts: jax.Array) -> jax.Array:
    """`(..., 2 H)` as `(..., H)` complex numbers: first all real, then all imaginary parts."""
    real, imaginary = jnp.split(parts, 2, axis=-1)
    return jax.lax.complex(real, imaginary)


def read_real(hidden: jax.Array, kernel: jax.Array) -> jax.Array:
    """`Re(h C)` for complex `h (..., H)` and `C (H, O)`, given as its parts `(2 H, O)`."""
    return jnp.concatenate([hidden.real, -hidden.imag], axis=-1) @ kernel


@dataclasses.dataclass(frozen=True, kw_only=True)
class LRU(LinearCell):
    """The LRU, with complex states.

        lambda = exp(-exp(log_rate) + i * exp(log_angle))
        h_t = lambda * h_{t-1} + exp(log_scale) * (x_t B)
        y_t = Re(h_t C) + skip * x_t               (B, I)

    B is complex: its real and imaginary parts are the two blocks of the input kernel `(I, 2 H)`. The decays start in
    the ring `r_min <= |lambda| <= r_max`, uniformly over its area, with angles from 0 to `max_angle`. The scale starts
    as `sqrt(1 - |lambda|^2)`, so that for white noise as input a state is as large as x B. Source: Orvieto, Smith, Gu,
    Fernando, Gulcehre, Pascanu and De 2023, "Resurrecting Recurrent Neural Networks for Long Sequences". Raises
    ValueError unless `0 <= r_min < r_max < 1` and `max_angle` is above 0, and for several feature axes.
    """

    gates: ClassVar[int] = 2
    is_complex: ClassVar[bool] = True
    has_bias: ClassVar[bool] = False

    kernel_init: Initializer = dataclasses.field(default=fan_in_normal(0.5))
    r_min: float = 0.0
    r_max: float = 0.99
    max_angle: float = 2 * math.pi

    def __post_init__(self):
        check_ring(self.r_min, self.r_max)
        if not self.max_angle > 0:
            raise ValueError(f"max_angle: expected a number above 0, got {self.max_angle}")

    def check_sizes(self, input_size: Size, hidden_size: Size) -> None:
        """Raises ValueError for several feature axes."""
        super().check_sizes(input_size, hidden_size)
        check_one_axis(hidden_size)

    def init_extras(self, key: PRNGKeyArray, inputs: Features, hidden: Features, dtype: Any) -> LRUExtras:
        """Decays in the ring, C with variance 1 / H in each part, and a skip of variance 1."""
        radius_key, angle_key, output_key, skip_key = jax.random.split(key, 4)
        log_r = log_radius(radius_key, hidden, self.r_min, self.r_max, dtype)
        # The angle is not 0, whose logarithm is infinite.
        share = 1 - jax.random.uniform(angle_key, hidden, log_r.dtype)
        return LRUExtras(
            log_rate=jnp.log(-log_r).astype(dtype),
            log_angle=jnp.log(self.max_angle * share).astype(dtype),
            log_scale=(0.5 * jnp.log(-jnp.expm1(2 * log_r))).astype(dtype),
            output_kernel=fan_in_normal(2.0)(output_key, (2 * hidden[0], inputs[0]), dtype),
            skip=jax.random.normal(skip_key, inputs, dtype),
        )

    def coefficients(self, params: CellParams, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The equation above; the decay is `(H,)` with axes of size 1 in front, the same for all steps."""
        own: Any = widen(params.extras)
        drive = complex_pair(self.pre_activations(params, inputs))
        decay = jnp.exp(jax.lax.complex(-jnp.exp(own.log_rate), jnp.exp(own.log_angle)))
        scale = jnp.exp(own.log_scale)
        return per_row(decay, drive), per_row(scale, drive).astype(drive.dtype) * drive

    def output(self, extras: CellParams, state: HiddenState, inputs: jax.Array) -> jax.Array:
        """`Re(h C) + skip * x`."""
        own: Any = extras.extras
        return read_real(state.hidden, own.output_kernel) + per_row(own.skip, inputs) * inputs
