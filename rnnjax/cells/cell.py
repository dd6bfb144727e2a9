"""The definition of a cell: its parameters, its state, one step, and the output."""

import abc
import copy
import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from rnnjax.cell_names import AnyCell
from rnnjax.dtypes import cast_like, widen
from rnnjax.initializers import Initializer, glorot_uniform, orthogonal, zeros
from rnnjax.maps import Dense, Map, MapParams
from rnnjax.types import Extras, Features, Gates, Hidden, Params, RecurrentGates, Size, State, Step, features

# The logistic function. Not `0.5 * tanh(0.5 * x) + 0.5`: that is 0 with zero gradient for x below -18 (below -7 in
# bfloat16), and a gate that keeps a long memory can reach such values.
sigmoid = jax.nn.sigmoid


DENSE = Dense()


class HiddenState(NamedTuple):
    """`hidden (B, H)`: the state of a cell that has no other state."""

    hidden: Hidden


class CellParams(NamedTuple):
    """The parameters of both maps (`MapParams`) and all other parameters; `recurrent` and `extras` may be None."""

    input: MapParams
    recurrent: Any = None
    extras: Extras = None


def as_read(hidden: jax.Array, kernel: jax.Array) -> jax.Array:
    """The hidden state in the dtype of the recurrent kernel; the state may be wider. Complex states stay complex."""
    return hidden.astype(kernel.dtype) if jnp.issubdtype(hidden.dtype, jnp.floating) else hidden


def add_to_gate(params: MapParams, gate: int, gates: int, amount: float | jax.Array) -> MapParams:
    """The map with `amount` (one number, or one per feature) added to the bias of one gate.

    A bias in a box (`nn.with_partitioning`) stays in its box.
    """

    def add(bias: jax.Array) -> jax.Array:
        width = bias.shape[-1] // gates
        return bias.at[gate * width : (gate + 1) * width].add(amount)

    return params._replace(bias=jax.tree.map(add, params.bias))


def check_size(name: str, size: Size) -> Features:
    """A size as a tuple of feature axes. Raises ValueError for an axis below 1."""
    try:
        return features(size)
    except ValueError:
        raise ValueError(f"{name}: expected at least 1, got {size}") from None


def check_one_axis(hidden_size: Size) -> None:
    """Raises ValueError for several feature axes, for cells whose `update` contains a matrix product."""
    if len(features(hidden_size)) != 1:
        raise ValueError(
            f"hidden_size: expected one feature axis, since this cell uses a matrix product, got {hidden_size}"
        )


def check_only_input_map(cell: "PointwiseCell") -> None:
    """Raises ValueError for a second bias or a recurrent map, for cells in which each unit reads only itself."""
    if cell.second_bias or cell.recurrent_map is not None:
        raise ValueError(
            f"expected second_bias=False and recurrent_map=None, since {type(cell).__name__} only has an input map, "
            f"got second_bias={cell.second_bias} and recurrent_map={cell.recurrent_map}"
        )


class Cell(AnyCell, abc.ABC):
    """A cell defines what happens at one step; a recurrence runs it over time.

    A cell is a frozen dataclass (hashable, so static under `jax.jit`) of pure functions. Its options are keyword-only
    fields. The hidden size is not an option of the cell but of the layer. The state is a NamedTuple of arrays
    `(B, ...)`, with the dtypes and shapes that `init_state` gives them. Derive from this class only if the step does
    not have the form of a `PointwiseCell`. All functions are called with the sizes of the layer.
    """

    @abc.abstractmethod
    def init_params(self, key: PRNGKeyArray, input_size: Size, hidden_size: Size, dtype: Any = jnp.float32) -> Params:
        """New parameters of this dtype: NamedTuples or dicts of arrays. Raises ValueError for unsupported sizes."""

    @abc.abstractmethod
    def init_state(self, batch_size: int, hidden_size: Size, dtype: Any = jnp.float32) -> State:
        """The state before the first step."""

    @abc.abstractmethod
    def step(self, params: Params, inputs: Step, state: State) -> State:
        """The state after one step. It must not mix the rows of the batch."""

    def output(self, extras: Extras, state: State, inputs: Step) -> jax.Array:
        """The output of a step, computed from the new state: `state.hidden` by default.

        `extras` are all parameters of the cell; in a `PointwiseCell`, all except those of the maps.
        """
        return state.hidden

    def extras_of(self, params: Params) -> Extras:
        """The parameters that `output` receives."""
        return params

    def effective(self, params: Params) -> tuple["Cell", Params]:
        """The cell and parameters for use in a loop: parametrized kernels are computed once, before the loop."""
        return self, params

    def size_of(self, state: State) -> Features:
        """The hidden size that a state has: by default, the feature axes of `hidden`."""
        return tuple(jnp.shape(state.hidden)[1:])


@dataclasses.dataclass(frozen=True, kw_only=True)
class PointwiseCell(Cell):
    """A cell whose step consists of two linear maps and one function that does not mix rows.

        a_t = W(x_t) + b                           input part, without recurrence
        r_t = R(h_{t-1}) + c                       recurrent part; c only with `second_bias=True`
        s_t = update(extras, a_t, r_t, s_{t-1})    the equation of the paper
        y_t = output(extras, s_t, x_t)             h_t by default

    A subclass defines `gates` (the number of blocks of H pre-activations; a property if it depends on options) and
    `update`. It overrides the following if the default (in parentheses) does not fit:

        state_type        NamedTuple class of the state; each array starts as zeros `(B, H)` (`HiddenState`)
        elementwise       True if `update` is elementwise over features, with no product; Jacobians need it (False)
        recurrent_gates   number of blocks that R computes (`gates`)
        further_kernels   names of further kernels, each with its number of blocks; `update` applies them with
                          `further_product` (none)
        init_extras       parameters in addition to the maps, such as peepholes and gains (the further kernels; an
                          override must include those of `super()`)
        read_size         size of `hidden`, the input of R (H); if overridden, override `init_state` and `size_of` too
        check_sizes       checks of the sizes, in addition to those of the maps

    Without R, `recurrent` is zeros.

    `update` may contain further matrix products. Every recurrence then gives the same numbers, but `Chunked` computes
    only the gradients of the maps with one product per chunk. Further kernels are initialised, parametrized and
    dropped like R. Raises ValueError for a cell with further kernels and no recurrent map.

    Initialisation: Glorot-uniform over the whole input kernel (Glorot and Bengio 2010), orthogonal per gate block of
    the recurrent kernel (Saxe et al. 2014), zero bias. An initialiser may return its array in a Flax box that names
    the axes (`flax.linen.with_partitioning`). If a cell only uses `a + r`, the second bias is redundant with b; it
    exists because PyTorch's layers have it.
    """

    gates: ClassVar[int]
    state_type: ClassVar[Any] = HiddenState
    elementwise: ClassVar[bool] = False
    further_kernels: ClassVar[Mapping[str, int]] = MappingProxyType({})

    input_map: Map = DENSE
    recurrent_map: Map | None = DENSE
    second_bias: bool = False
    kernel_init: Initializer = glorot_uniform
    recurrent_init: Initializer = orthogonal
    bias_init: Initializer = zeros

    def __post_init__(self):
        if not isinstance(self.further_kernels, Mapping) or min(self.further_kernels.values(), default=1) < 1:
            raise ValueError(
                f"further_kernels: expected names with the number of blocks of each, got {self.further_kernels}"
            )
        if self.further_kernels and not isinstance(self.recurrent_map, Map):
            names = " and ".join(self.further_kernels)
            raise ValueError(f"recurrent_map: expected a map, since {names} needs it, got {self.recurrent_map}")

    @property
    def recurrent_gates(self) -> int:
        """The number of gate blocks that R computes."""
        return self.gates

    def read_size(self, hidden_size: Size) -> Size:
        """The size of `hidden`, the input of R."""
        return hidden_size

    def check_sizes(self, input_size: Size, hidden_size: Size) -> None:
        """Raises ValueError for sizes that the cell does not support; the maps check theirs separately."""
        check_size("input_size", input_size)
        check_size("hidden_size", hidden_size)

    def init_params(
        self, key: PRNGKeyArray, input_size: Size, hidden_size: Size, dtype: Any = jnp.float32
    ) -> CellParams:
        """`W`, `b`, `R`, `c` (if the cell has a second bias), and the extras.

        Raises ValueError for sizes that do not fit.
        """
        self.check_sizes(input_size, hidden_size)
        inputs, hidden, read = (features(size) for size in (input_size, hidden_size, self.read_size(hidden_size)))
        kernel_key, recurrent_key, bias_key, second_key = jax.random.split(key, 4)
        recurrent = None
        if self.recurrent_map is not None:
            gates = self.recurrent_gates
            recurrent = MapParams(
                self.recurrent_map.init(recurrent_key, read, hidden, gates, self.recurrent_init, dtype, per_gate=True),
                self.bias_init(second_key, (gates * hidden[-1],), dtype) if self.second_bias else None,
            )
        return CellParams(
            input=MapParams(
                self.input_map.init(kernel_key, inputs, hidden, self.gates, self.kernel_init, dtype),
                self.bias_init(bias_key, (self.gates * hidden[-1],), dtype),
            ),
            recurrent=recurrent,
            # The maps use keys 0 to 3 derived from this key.
            extras=self.init_extras(jax.random.fold_in(key, 4), inputs, hidden, dtype),
        )

    def init_extras(self, key: PRNGKeyArray, inputs: Features, hidden: Features, dtype: Any) -> Extras:
        """Parameters in addition to the maps: a NamedTuple or dict of arrays, or None."""
        if self.recurrent_map is None or not self.further_kernels:
            return None
        keys = jax.random.split(key, len(self.further_kernels))
        return {
            name: self.recurrent_map.init(own, hidden, hidden, gates, self.recurrent_init, dtype, per_gate=True)
            for own, (name, gates) in zip(keys, self.further_kernels.items(), strict=True)
        }

    def further_product(self, extras: Mapping[str, Any], name: str, values: jax.Array) -> jax.Array:
        """The product of values and a further kernel. Raises ValueError for a name that is not in `further_kernels`."""
        if self.recurrent_map is None or name not in self.further_kernels:
            raise ValueError(
                f"further_product: expected one of further_kernels, {list(self.further_kernels)}, got {name!r}"
            )
        return self.recurrent_map.product(extras[name], values, self.further_kernels[name])

    def init_state(self, batch_size: int, hidden_size: Size, dtype: Any = jnp.float32) -> State:
        """Zeros, each `(B, H)`."""
        hidden = jnp.zeros((batch_size, *features(hidden_size)), dtype)
        return self.state_type(*(hidden for _ in self.state_type._fields))

    @abc.abstractmethod
    def update(self, extras: Extras, inputs: Gates, recurrent: RecurrentGates, state: State) -> State:
        """The equation of the paper, from both pre-activations (each `(B, G)`) and the state; must not mix rows."""

    def extras_of(self, params: CellParams) -> Extras:
        """The parameters in addition to the maps."""
        return params.extras

    def effective(self, params: CellParams) -> tuple["PointwiseCell", CellParams]:
        """The cell with unparametrized maps, and the kernels computed by its parametrizations."""
        input_map, own = self.input_map.effective(params.input)
        recurrent_map, recurrent, extras = self.recurrent_map, params.recurrent, params.extras
        if recurrent_map is not None:
            for name in self.further_kernels:
                if extras is None or name not in extras:
                    raise ValueError(
                        f"extras: expected {name!r}, which is one of further_kernels; an init_extras that you override "
                        "must include what super().init_extras returns"
                    )
                extras = {**extras, name: recurrent_map.effective(MapParams(extras[name]))[1].kernel}
            recurrent_map, recurrent = recurrent_map.effective(recurrent)
        if input_map is self.input_map and recurrent_map is self.recurrent_map:
            return self, params
        # Not `dataclasses.replace`: a cell may build its maps from other options.
        cell = copy.copy(self)
        object.__setattr__(cell, "input_map", input_map)
        object.__setattr__(cell, "recurrent_map", recurrent_map)
        return cell, CellParams(own, recurrent, extras)

    def pre_activations(self, params: CellParams, inputs: jax.Array, hidden: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`a = W(x) + b` and `r = R(h) + c`; r is zeros if there is no R."""
        cell, params = self.effective(params)  # no effect if they already are effective
        own = cell.input_map.apply(params.input, inputs, cell.gates)
        if cell.recurrent_map is None:
            return own, jnp.zeros_like(own)
        read = as_read(hidden, params.recurrent.kernel)
        return own, cell.recurrent_map.apply(params.recurrent, read, cell.recurrent_gates)

    def step(self, params: CellParams, inputs: Step, state: State) -> State:
        """One step: the new state from `x_t (B, I)` and the previous state."""
        cell, params = self.effective(params)
        return cell.wide_update(params.extras, *cell.pre_activations(params, inputs, state.hidden), state)

    def wide_update(self, extras: Extras, inputs: Gates, recurrent: RecurrentGates, state: State) -> State:
        """`update` computed in at least float32; each array of the new state keeps its dtype.

        In bfloat16, `1 - sigmoid(7)` and the slope of `tanh(4)` would be 0.
        """
        return cast_like(self.update(*widen((extras, inputs, recurrent, state))), state)
