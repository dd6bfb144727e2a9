"""S5: a diagonal state space layer with zero-order hold."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from rnnjax.cells.cell import CellParams, HiddenState, check_one_axis
from rnnjax.cells.hippo import IntoHippoBasis, hippo_normal
from rnnjax.cells.linear import LinearCell
from rnnjax.cells.lru import complex_pair, read_real
from rnnjax.dtypes import at_least_float32, widen
from rnnjax.initializers import Initializer, fan_in_normal
from rnnjax.maps import per_row
from rnnjax.types import Features, Size

# The real part of an eigenvalue is at most this, so that no state grows.
LARGEST_REAL = -1e-4


class S5Extras(NamedTuple):
    """The eigenvalues by their parts, the logarithms of the time steps, and the linear output as in `LRUExtras`."""

    real: Float[Array, " hidden"]
    imaginary: Float[Array, " hidden"]
    log_step: Float[Array, " hidden"]
    output_kernel: Float[Array, "parts input"]
    skip: Float[Array, " input"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class S5(LinearCell):
    """S5, with H complex states that stand for 2 H of a real system `dh/dt = A h + B x` in conjugate pairs.

        lambda = min(real, -1e-4) + i * imaginary, step = exp(log_step)
        h_t = exp(lambda * step) * h_{t-1} + (exp(lambda * step) - 1) / lambda * (x_t B)
        y_t = 2 Re(h_t C) + skip * x_t             (B, I)

    This is exact for inputs that are constant over each step (zero-order hold). B is complex: its real and imaginary
    parts are the two blocks of the input kernel `(I, 2 H)`. The eigenvalues start as those of the normal part of the
    HiPPO matrix, which have real part -1/2, and B and C as normal numbers in the basis of its eigenvectors. Each unit
    draws its time step between `step_min` and `step_max`, uniformly in the logarithm. Source: Smith, Warrington and
    Linderman 2023, "Simplified State Space Layers for Sequence Modeling". Raises ValueError unless
    `0 < step_min < step_max`, and for several feature axes.
    """

    gates: ClassVar[int] = 2
    is_complex: ClassVar[bool] = True
    has_bias: ClassVar[bool] = False

    kernel_init: Initializer = dataclasses.field(default=IntoHippoBasis())
    step_min: float = 0.001
    step_max: float = 0.1

    def __post_init__(self):
        if not 0 < self.step_min < self.step_max:
            raise ValueError(
                f"step_min, step_max: expected 0 < step_min < step_max, got {self.step_min} and {self.step_max}"
            )

    def check_sizes(self, input_size: Size, hidden_size: Size) -> None:
        """Raises ValueError for several feature axes."""
        super().check_sizes(input_size, hidden_size)
        check_one_axis(hidden_size)

    def init_extras(self, key: PRNGKeyArray, inputs: Features, hidden: Features, dtype: Any) -> S5Extras:
        """The eigenvalues of the HiPPO matrix, random time steps, C, and a skip of variance 1."""
        step_key, output_key, skip_key = jax.random.split(key, 3)
        frequencies, _ = hippo_normal(*hidden)
        low, high = jnp.log(self.step_min), jnp.log(self.step_max)
        # C V with rows of C of variance 1 / 2 H; IntoHippoBasis multiplies by the conjugate.
        drawn = IntoHippoBasis(fan_in_normal(inputs[0] / (2 * hidden[0])))(output_key, (*inputs, 2 * hidden[0]), dtype)
        real, imaginary = jnp.split(drawn, 2, axis=-1)
        return S5Extras(
            real=jnp.full(hidden, -0.5, dtype),
            imaginary=jnp.asarray(frequencies, dtype),
            log_step=jax.random.uniform(step_key, hidden, at_least_float32(dtype), low, high).astype(dtype),
            output_kernel=jnp.concatenate([real, -imaginary], axis=-1).T,
            skip=jax.random.normal(skip_key, inputs, dtype),
        )

    def coefficients(self, params: CellParams, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The equation above; the decay is `(H,)` with axes of size 1 in front, the same for all steps."""
        own: Any = widen(params.extras)
        drive = complex_pair(self.pre_activations(params, inputs))
        rate = jax.lax.complex(jnp.minimum(own.real, LARGEST_REAL), own.imaginary)
        over_step = rate * jnp.exp(own.log_step).astype(rate.dtype)
        return per_row(jnp.exp(over_step), drive), per_row(jnp.expm1(over_step) / rate, drive) * drive

    def output(self, extras: CellParams, state: HiddenState, inputs: jax.Array) -> jax.Array:
        """`2 Re(h C) + skip * x`."""
        own: Any = extras.extras
        return 2 * read_real(state.hidden, own.output_kernel) + per_row(own.skip, inputs) * inputs
