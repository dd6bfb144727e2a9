"""Step trace: the gates and states of a cell at every step, by the variable names in the cell's code."""

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.cells import Cell, PointwiseCell
from rnnjax.dtypes import at_least_float32
from rnnjax.layers import RNN
from rnnjax.recurrences import Noise
from rnnjax.recurrences.noise import loop_of, masked
from rnnjax.recurrences.recurrence import advance, clear_padding, prepare
from rnnjax.types import Lengths, Params, State, TimeFlags, TimeInputs


def trace_cell(
    cell: Cell,
    params: Params,
    inputs: TimeInputs,
    initial_state: State,
    *,
    lengths: Lengths | None = None,
    resets: TimeFlags | None = None,
    reset_state: State | None = None,
    reverse: bool = False,
    noise: Noise | None = None,
) -> dict[str, np.ndarray]:
    """The gates and states of every step by name, each `(T, B, H)`; the arguments are those of a recurrence.

    The states are the fields of the cell's state (`hidden`, `cell`). The gates are the local variables of its `update`
    (or `step`, if it has none) with the shape of `hidden`: `input`, `forget`, `candidate` and `output` for an LSTM,
    `reset`, `update` and `candidate` for a GRU. Names of single letters (`f`, `f_x`) are ignored. The cell runs
    unchanged, and its variables are read when it returns, so variables inside a `jax.jit` or an inner function are not
    found. Values after the end of a sequence are NaN. Raises ValueError for shapes that do not match.
    """
    cell, problem = prepare(
        cell, params, inputs, initial_state, lengths=lengths, resets=resets, reset_state=reset_state, noise=noise
    )
    params, inputs, entering, putting_back, flags, mask = problem
    loop = loop_of(cell, params, mask)

    def step(state: State, xs: Any) -> tuple[State, Any]:
        inputs, flags = xs
        inputs = clear_padding(inputs, flags)
        begun = []

        def recorded(inputs: jax.Array, before: State) -> State:
            begun.append(before)
            return loop.step(inputs, before)

        state, _ = advance(loop._replace(step=recorded), putting_back, state, inputs, flags)
        return state, (inputs, begun[0], state)

    _, (inputs, before, after) = jax.lax.scan(step, entering, (inputs, flags), reverse=reverse)
    time, batch = inputs.shape[:2]
    # All steps are rows of one batch, which is possible because a cell does not mix rows.
    rows = jax.tree.map(lambda leaf: leaf.reshape(time * batch, *leaf.shape[2:]), (inputs, before))
    tiled = None if mask is None else jnp.tile(mask, (time, *(1,) * (mask.ndim - 1)))
    found = _locals(cell, params, *rows, mask=tiled)
    named = {name: leaf.reshape(time, batch, *leaf.shape[1:]) for name, leaf in found.items()} | after._asdict()
    valid = np.ones((time, batch), bool) if flags.valid is None else np.asarray(flags.valid)
    return {
        # bfloat16 is widened, because NumPy and Matplotlib hardly support it.
        name: np.where(
            np.expand_dims(valid, tuple(range(2, values.ndim))), values.astype(at_least_float32(values.dtype)), np.nan
        )
        for name, values in named.items()
    }


def _locals(
    cell: Cell, params: Params, inputs: jax.Array, state: State, *, mask: jax.Array | None
) -> dict[str, jax.Array]:
    """The arrays `(N, H)` in local variables of one call of the cell."""
    if isinstance(cell, PointwiseCell):
        method = "update"
        gates = cell.pre_activations(params, inputs, masked(state.hidden, mask))
        arguments = (params.extras, *gates, state)
    else:
        method, arguments = "step", (params, inputs, state)
    # Includes base classes, because a cell may call `super()`.
    methods = [vars(kind)[method] for kind in type(cell).__mro__ if method in vars(kind)]
    codes = {inspect.unwrap(each).__code__ for each in methods}
    found: dict[str, Any] = {}

    def profile(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "return" and code in codes:
            given = code.co_varnames[: code.co_argcount]
            found.update({name: value for name, value in frame.f_locals.items() if name not in given})

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        getattr(cell, method)(*arguments)
    finally:
        sys.setprofile(before)
    return {
        name: value
        for name, value in found.items()
        if any(len(part) > 1 for part in name.split("_"))
        and isinstance(value, jax.Array)
        and value.shape == state.hidden.shape
    }


def trace_steps(module: nn.Module, variables: Mapping[str, Any], *args: Any, **options: Any) -> dict[str, Any]:
    """For every `RNN` in a module, by path: all gates and states by name, each `(B, T, H)`.

    Runs `module.apply(variables, *args, **options)`; see `trace_cell` for the names. The steps of a backward layer are
    in the order of the inputs. A path is "recurrent/forward", for example, or "" for the module itself.
    """
    traces: dict[str, dict[str, np.ndarray]] = {}

    def watch(method: Callable[..., Any], args: Any, options: Any, context: Any) -> Any:
        layer = context.module
        if not isinstance(layer, RNN) or context.method_name != "__call__":
            return method(*args, **options)
        recurrence = layer.recurrence

        def traced(*arguments: Any, **keywords: Any) -> Any:
            own = {name: value for name, value in keywords.items() if name != "all_states"}
            trace = trace_cell(*arguments, **own)
            traces["/".join(layer.path)] = {name: np.swapaxes(values, 0, 1) for name, values in trace.items()}
            return recurrence(*arguments, **keywords)

        # `object.__setattr__`, because fields of a bound module are frozen; it is the copy made by `apply`.
        object.__setattr__(layer, "recurrence", traced)
        try:
            return method(*args, **options)
        finally:
            object.__setattr__(layer, "recurrence", recurrence)

    with nn.intercept_methods(watch):
        module.apply(variables, *args, **options)
    return traces
