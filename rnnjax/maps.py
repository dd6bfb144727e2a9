"""Linear maps of cells: they compute gate pre-activations from the inputs and the hidden state.

A map is applied to the feature axes at the end of an array; all axes before them are batch axes. Its outputs are
`gates` blocks along the last axis, where a cell splits them.
"""

import abc
import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from rnnjax.dtypes import at_least_float32, promoted, widen
from rnnjax.initializers import Initializer
from rnnjax.meshes import vary_alike
from rnnjax.parametrizations import Parametrization
from rnnjax.types import Features


class MapParams(NamedTuple):
    """`y = x K + b`: the kernel (or the parameters of its parametrization), and a bias or None."""

    kernel: Any
    bias: Any = None


class Map(abc.ABC):
    """A linear map as a frozen dataclass of pure functions: hashable, so static under `jax.jit`.

    A subclass defines `kernel_shape` and `product`. The transpose and the gradient of the kernel are derived from the
    product by automatic differentiation; `Dense` overrides them with faster ones.
    """

    @abc.abstractmethod
    def kernel_shape(self, inputs: Features, outputs: Features, gates: int) -> tuple[int, ...]:
        """The shape of the kernel, with the gate blocks along the last axis.

        Raises ValueError for features that the map does not support.
        """

    @abc.abstractmethod
    def product(self, kernel: jax.Array, inputs: jax.Array, gates: int) -> jax.Array:
        """`x K`: from `(..., *inputs)` to `(..., *outputs)`, with `gates` times as many features on the last axis."""

    def init(
        self,
        key: PRNGKeyArray,
        inputs: Features,
        outputs: Features,
        gates: int,
        initializer: Initializer,
        dtype: Any = jnp.float32,
        *,
        per_gate: bool = False,
    ) -> Any:
        """A new kernel, drawn as a whole or, with `per_gate`, separately for each gate block."""
        if not per_gate:
            return initializer(key, self.kernel_shape(inputs, outputs, gates), dtype)
        shape = self.kernel_shape(inputs, outputs, 1)
        blocks = [initializer(block_key, shape, dtype) for block_key in jax.random.split(key, gates)]
        # A tree, since an initialiser may return a Flax box that names the axes (`flax.linen.with_partitioning`).
        return jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=-1), *blocks)

    def effective(self, params: MapParams) -> tuple["Map", MapParams]:
        """The map and its parameters for use in a loop: with the kernel instead of the parameters it depends on."""
        return self, params

    def apply(self, params: MapParams, inputs: jax.Array, gates: int) -> jax.Array:
        """`x K + b`, or `x K` if the bias is None."""
        return add_bias(self.product(params.kernel, inputs, gates), params.bias)

    def transpose(self, kernel: jax.Array, inputs: Features, gates: int) -> Callable[[jax.Array], jax.Array]:
        """The transposed product `d_y -> d_y K^T`. The constant part is computed here, before the loop."""

        def pull(cotangent: jax.Array) -> jax.Array:
            # Inside `jax.shard_map`, a transpose with respect to an array that does not vary over devices would
            # sum over devices.
            zeros = jnp.zeros((*cotangent.shape[: -len(inputs)], *inputs), cotangent.dtype)
            like, cotangent = vary_alike((zeros, cotangent))
            narrow = kernel.astype(cotangent.dtype)
            (pulled,) = jax.linear_transpose(lambda x: self.product(narrow, x, gates), like)(cotangent)
            return pulled

        return pull

    def pullback(self, kernel: jax.Array, inputs: jax.Array, cotangent: jax.Array, gates: int) -> MapParams:
        """The gradients of kernel and bias, summed over all leading axes in at least float32."""
        kernel, inputs, cotangent = widen((kernel, inputs, cotangent))
        like, cotangent = vary_alike((kernel.astype(promoted(kernel, cotangent)), cotangent))
        (d_kernel,) = jax.linear_transpose(lambda k: self.product(k, inputs, gates), like)(cotangent)
        return MapParams(d_kernel, cotangent.sum(axis=range(cotangent.ndim - 1)))


def add_bias(product: jax.Array, bias: jax.Array | None) -> jax.Array:
    """`product + bias`, or `product` if the bias is None."""
    return product if bias is None else product + per_row(bias, product)


def per_row(vector: jax.Array, rows: jax.Array) -> jax.Array:
    """`vector (H,)` with leading axes added, to broadcast against `rows (..., H)`.

    JAX would add them implicitly, except under `jax.numpy_rank_promotion("raise")`.
    """
    return jnp.expand_dims(vector, range(rows.ndim - vector.ndim))


def outer(left: tuple[jax.Array | None, ...], right: jax.Array) -> jax.Array:
    """The sum of outer products over all leading axes, as one matrix product in at least float32.

    The parts of `left` are concatenated along the last axis; `None` stands for a column of ones (for the bias
    gradient).
    """
    rows = right.shape[:-1]
    parts = [jnp.ones((*rows, 1), right.dtype) if part is None else part.astype(promoted(part, right)) for part in left]
    joined = jnp.concatenate(parts, axis=-1)
    return jax.lax.dot_general(
        _rows(joined),
        _rows(right),
        (((0,), (0,)), ((), ())),
        preferred_element_type=at_least_float32(right.dtype),
    )


def _rows(array: jax.Array) -> jax.Array:
    *rows, width = array.shape
    return array.reshape(math.prod(rows), width)


@dataclasses.dataclass(frozen=True)
class Dense(Map):
    """A matrix: `y = x K + b`, `K (I, gates * H)`, for one feature axis.

    With a `parametrization`, the kernel is a function of other parameters: `WeightNorm()`, `Orthogonal()`, ...
    """

    parametrization: Parametrization | None = None

    def kernel_shape(self, inputs: Features, outputs: Features, gates: int) -> tuple[int, ...]:
        if len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(f"Dense: expected one feature axis, got {inputs} to {outputs}")
        return (*inputs, gates * outputs[0])

    def product(self, kernel: jax.Array, inputs: jax.Array, gates: int) -> jax.Array:
        return inputs @ kernel

    def init(self, key, inputs, outputs, gates, initializer, dtype=jnp.float32, *, per_gate=False) -> Any:
        kernel = super().init(key, inputs, outputs, gates, initializer, dtype, per_gate=per_gate)
        if self.parametrization is None:
            return kernel
        if not isinstance(kernel, jax.Array):
            raise ValueError(
                f"parametrization: expected an initialiser that returns an array, got a {type(kernel).__name__}"
            )
        return self.parametrization.init(key, kernel, gates)

    def effective(self, params: MapParams) -> tuple[Map, MapParams]:
        if self.parametrization is None:
            return self, params
        return Dense(), params._replace(kernel=self.parametrization.kernel(params.kernel))

    def transpose(self, kernel: jax.Array, inputs: Features, gates: int) -> Callable[[jax.Array], jax.Array]:
        transposed = kernel.T
        return lambda cotangent: cotangent @ transposed

    def pullback(self, kernel: jax.Array, inputs: jax.Array, cotangent: jax.Array, gates: int) -> MapParams:
        both = outer((inputs, None), cotangent)
        return MapParams(both[:-1], both[-1])


@dataclasses.dataclass(frozen=True)
class Conv(Map):
    """A convolution over 1 to 3 spatial axes: `K (*window, C_in, gates * C)`, features `(*spatial, C)`.

    Stride 1 and "SAME" zero padding, so that inputs and state have the same spatial axes. `window` has one size for
    each spatial axis. Raises ValueError for a window of no or more than three axes, or a size below 1.
    """

    window: tuple[int, ...]

    def __post_init__(self):
        object.__setattr__(self, "window", tuple(self.window))
        if not 1 <= len(self.window) <= 3 or min(self.window) < 1:
            raise ValueError(f"window: expected 1 to 3 sizes of at least 1, got {self.window}")

    def kernel_shape(self, inputs: Features, outputs: Features, gates: int) -> tuple[int, ...]:
        axes = len(self.window)
        if len(outputs) != axes + 1:
            example = (*(16,) * axes, 8)
            raise ValueError(
                f"Conv: expected a hidden size of {axes} spatial axes and channels, such as {example}, got {outputs}"
            )
        if len(inputs) != axes + 1 or inputs[:-1] != outputs[:-1]:
            raise ValueError(
                f"Conv: expected inputs with the spatial axes {outputs[:-1]} of the state and channels, got {inputs}"
            )
        return (*self.window, inputs[-1], gates * outputs[-1])

    def product(self, kernel: jax.Array, inputs: jax.Array, gates: int) -> jax.Array:
        axes = len(self.window)
        lead, features = inputs.shape[: -axes - 1], inputs.shape[-axes - 1 :]
        letters = "DHW"[-axes:]
        out = jax.lax.conv_general_dilated(
            inputs.reshape(math.prod(lead), *features),
            kernel,
            (1,) * axes,
            "SAME",
            dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        )
        return out.reshape(*lead, *out.shape[1:])


@dataclasses.dataclass(frozen=True)
class BlockDiagonal(Map):
    """A block-diagonal matrix: `K (heads, I / heads, gates * H / heads)`; heads do not mix.

    Raises ValueError for `heads` below 1, and for feature sizes not divisible by it.
    """

    heads: int

    def __post_init__(self):
        if self.heads < 1:
            raise ValueError(f"heads: expected at least 1, got {self.heads}")

    def kernel_shape(self, inputs: Features, outputs: Features, gates: int) -> tuple[int, ...]:
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0] % self.heads or outputs[0] % self.heads:
            raise ValueError(
                f"BlockDiagonal: expected one feature axis divisible by {self.heads} heads, got {inputs} to {outputs}"
            )
        return (self.heads, inputs[0] // self.heads, gates * outputs[0] // self.heads)

    def init(self, key, inputs, outputs, gates, initializer, dtype=jnp.float32, *, per_gate=False) -> Any:
        heads, own, _ = self.kernel_shape(inputs, outputs, gates)
        blocks = [
            Dense().init(head_key, (own,), (outputs[0] // heads,), gates, initializer, dtype, per_gate=per_gate)
            for head_key in jax.random.split(key, heads)
        ]
        return jax.tree.map(lambda *parts: jnp.stack(parts), *blocks)

    def product(self, kernel: jax.Array, inputs: jax.Array, gates: int) -> jax.Array:
        heads, own, width = kernel.shape
        lead = inputs.shape[:-1]
        out = jnp.einsum("...hi,hio->...ho", inputs.reshape(*lead, heads, own), kernel)
        # Gates before heads, because the cell splits the last axis into gates.
        out = jnp.moveaxis(out.reshape(*lead, heads, gates, width // gates), -3, -2)
        return out.reshape(*lead, heads * width)
