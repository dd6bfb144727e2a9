"""Linear cells: the new state is a linear function of the previous one, so that all steps can be computed at once."""

import abc
import copy
import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from rnnjax.cells.cell import DENSE, Cell, CellParams, HiddenState, check_size
from rnnjax.dtypes import at_least_float32, promoted, widen
from rnnjax.initializers import Initializer, glorot_uniform, zeros
from rnnjax.maps import Map, MapParams, add_bias
from rnnjax.types import Extras, Features, Size, Step


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearCell(Cell):
    """A cell whose step multiplies the state by a decay and adds a drive; neither depends on the state.

        h_t = decay_t * h_{t-1} + drive_t          decay_t, drive_t = coefficients(params, x_t)
        y_t = output(params, h_t, x_t)             h_t by default

    The product is elementwise. Since the coefficients of all steps are known before the first one, `Associative` needs
    only log T steps one after another. Every recurrence runs such a cell. A subclass defines `gates` (the number of
    blocks of H pre-activations) and `coefficients`, and overrides the following if the default (in parentheses) does
    not fit:

        is_complex        whether the state is complex (False)
        has_bias          whether the input map has a bias (True)
        init_extras       parameters in addition to the input map (none)
        check_sizes       checks of the sizes, in addition to those of the map

    The state is `hidden (B, H)` in at least float32 in every compute dtype: a decay such as 0.999 would be 1 in
    bfloat16. The output has the compute dtype. There is no recurrent kernel, so dropout of its weights and of what it
    reads raises an error; zoneout holds units (decay 1, drive 0).
    """

    gates: ClassVar[int]
    is_complex: ClassVar[bool] = False
    has_bias: ClassVar[bool] = True

    input_map: Map = DENSE
    kernel_init: Initializer = glorot_uniform
    bias_init: Initializer = zeros

    @abc.abstractmethod
    def coefficients(self, params: CellParams, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`decay` and `drive (..., H)` of the steps `inputs (..., I)`, in at least float32.

        The leading axes are any number of steps and rows. The decay may have fewer axes, to be broadcast.
        """

    def check_sizes(self, input_size: Size, hidden_size: Size) -> None:
        """Raises ValueError for sizes that the cell does not support; the map checks its own."""
        check_size("input_size", input_size)
        check_size("hidden_size", hidden_size)

    def init_params(
        self, key: PRNGKeyArray, input_size: Size, hidden_size: Size, dtype: Any = jnp.float32
    ) -> CellParams:
        """The input map and the extras; `recurrent` is None. Raises ValueError for sizes that do not fit."""
        self.check_sizes(input_size, hidden_size)
        inputs, hidden = check_size("input_size", input_size), check_size("hidden_size", hidden_size)
        kernel_key, bias_key, extras_key = jax.random.split(key, 3)
        kernel = self.input_map.init(kernel_key, inputs, hidden, self.gates, self.kernel_init, dtype)
        bias = self.bias_init(bias_key, (self.gates * hidden[-1],), dtype) if self.has_bias else None
        return CellParams(MapParams(kernel, bias), extras=self.init_extras(extras_key, inputs, hidden, dtype))

    def init_extras(self, key: PRNGKeyArray, inputs: Features, hidden: Features, dtype: Any) -> Extras:
        """Parameters in addition to the input map: a NamedTuple or dict of arrays, or None."""
        return None

    def init_state(self, batch_size: int, hidden_size: Size, dtype: Any = jnp.float32) -> HiddenState:
        """Zeros `(B, H)`."""
        dtype = promoted(dtype, jnp.complex64) if self.is_complex else at_least_float32(dtype)
        return HiddenState(jnp.zeros((batch_size, *check_size("hidden_size", hidden_size)), dtype))

    def effective(self, params: CellParams) -> tuple["LinearCell", CellParams]:
        """The cell with an unparametrized map, and the kernel computed by its parametrization."""
        input_map, own = self.input_map.effective(params.input)
        if input_map is self.input_map:
            return self, params
        cell = copy.copy(self)
        object.__setattr__(cell, "input_map", input_map)
        return cell, params._replace(input=own)

    def pre_activations(self, params: CellParams, inputs: jax.Array) -> jax.Array:
        """`x W + b (..., gates * H)` in at least float32; the product is in the compute dtype."""
        cell, params = self.effective(params)
        product = cell.input_map.product(params.input.kernel, inputs, cell.gates)
        return add_bias(*widen((product, params.input.bias)))

    def step(self, params: CellParams, inputs: Step, state: HiddenState) -> HiddenState:
        """One step: the new state from `x_t (B, I)` and the previous state."""
        decay, drive = self.coefficients(params, inputs)
        return HiddenState(decay * state.hidden + drive)
