"""One update of the parameters as a pure function, for one device or many."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from rnnjax.dtypes import cast_like, widen
from rnnjax.fields import check_range
from rnnjax.training.averaging import moving_average
from rnnjax.training.histograms import empty_histograms, gradient_histograms
from rnnjax.training.objective import Objective, Sums, SumsOf
from rnnjax.training.plateau import scale_of
from rnnjax.training.state import TrainState

Update = Callable[[TrainState, Any], tuple[TrainState, Sums]]
# gradients(params, batch, key, carry) -> (gradient of the summed loss, sums, carry)
Gradients = Callable[..., tuple[Any, Sums, Any]]


def gradient_sums(objective: Objective) -> Gradients:
    """A function (params, batch, key, carry) -> (gradient of `sums["loss"]`, sums, carry) for an objective.

    Gradient and sums are in float32 at least.
    """

    def summed(params: Any, batch: Any, key: jax.Array | None, carry: Any) -> tuple[Any, Sums, Any]:
        def loss(params: Any) -> tuple[jax.Array, tuple[Sums, Any]]:
            sums, after = objective.carried(params, batch, key, carry)
            return sums["loss"], (sums, after)

        gradient, (sums, after) = jax.grad(loss, has_aux=True)(params)
        return widen(gradient), widen(sums), after

    return summed


def update_of(
    objective: Objective | SumsOf,
    optimizer: optax.GradientTransformation,
    *,
    clip: float | None = None,
    averaging: float = 0.0,
    histograms: int | None = None,
    gradients: Gradients | None = None,
    platform: str | None = None,
) -> Update:
    """A function (state, batch) -> (state, sums) of one update; it computes and raises what `train_step` documents.

    It may be called within `jax.jit`, `jax.vmap` and `jax.lax.scan` (see `run_updates`). `gradients` replaces
    `gradient_sums`, for example to sum over devices. `platform` is the platform of the devices (default: JAX's).
    """
    if histograms is not None:
        check_range("histograms", histograms, 1)
    if clip is not None and not 0 < clip < math.inf:
        raise ValueError(f"clip: expected a number above 0, got {clip}")
    if not 0 <= averaging <= 1:
        raise ValueError(f"averaging: expected 0 <= decay <= 1, got {averaging}")
    clipping = optax.identity() if clip is None else optax.clip_by_global_norm(clip)
    gradients = gradients or gradient_sums(Objective.of(objective))
    on_cpu = (platform or jax.default_backend()) == "cpu"

    def learned(gradient: Any, state: TrainState) -> TrainState:
        wide = widen(state.params)
        gradient, _ = clipping.update(gradient, clipping.init(wide))
        updates, optimizer_state = optimizer.update(gradient, state.optimizer_state, wide)
        params = cast_like(optax.apply_updates(wide, updates), state.params)
        new, at = widen(params), state.step
        average = moving_average(state.average, new, averaging, at, optimizer_state) if averaging else ()
        after = state._replace(params=params, optimizer_state=optimizer_state, average=average)
        _check_alike(state, after)
        return after

    def update(state: TrainState, batch: Any) -> tuple[TrainState, Sums]:
        if state.averaged != (averaging > 0):
            given = "with an average" if state.averaged else "without an average (`averaged=True` makes one)"
            raise ValueError(f"averaging: a step with decay {averaging} was given a state {given}")
        key = jax.random.fold_in(state.key, state.step)
        gradient, sums, carry = gradients(state.params, batch, key, state.carry)
        empty = sums["weight"] == 0
        gradient = _mean(gradient, sums["weight"], empty)
        sums["gradient_norm"] = optax.tree.norm(gradient)
        if histograms is not None:
            due = (state.step + 1) % histograms == 0
            sums["histograms"] = jax.lax.cond(due, gradient_histograms, empty_histograms, gradient)
        sums["clipped"] = sums["gradient_norm"] > (math.inf if clip is None else clip)
        state = _unless(empty, learned, gradient, state._replace(carry=()), on_cpu)
        sums |= _optimizer_numbers(state.optimizer_state)
        return state._replace(step=state.step + 1, carry=carry), sums

    return update


def run_updates(
    update: Update,
    batch_of: Callable[[TrainState, Any], Any],
    state: TrainState,
    xs: Any = None,
    length: int | None = None,
) -> tuple[TrainState, Sums]:
    """Runs U updates on the device without host synchronisation; returns the last state and all sums `(U, ...)`.

        for x in xs:
            state, sums = update(state, batch_of(state, x))

    `batch_of` makes a batch on the device: it draws it, or takes rows of arrays. `xs` and `length` are as in
    `jax.lax.scan`.
    """
    return jax.lax.scan(lambda state, x: update(state, batch_of(state, x)), state, xs, length)


def _mean(gradient: Any, weight: jax.Array, empty: jax.Array) -> Any:
    """The gradient of a mean from that of a sum; zero if all weights are zero."""
    weight = jnp.where(empty, 1, weight)
    return jax.tree.map(lambda leaf: jnp.where(empty, 0, leaf / weight).astype(leaf.dtype), gradient)


def _unless(
    empty: jax.Array, learned: Callable[[Any, TrainState], TrainState], gradient: Any, state: TrainState, on_cpu: bool
) -> TrainState:
    """The state after an update, or the unchanged state if the batch is empty (all weights zero).

    Selecting between two states keeps both in memory and copies the optimizer state, which took a quarter of a step
    (text classifiers with 1.3 million parameters on two CPU cores). On CPUs the update is therefore a loop of one or no
    iteration, which works in place. On accelerators such a loop waits for the host, and a copy is cheap.
    """
    if not on_cpu:
        return jax.tree.map(lambda old, new: jnp.where(empty, old, new), state, learned(gradient, state))

    def turn(number: jax.Array, state: TrainState) -> TrainState:
        # The barrier keeps XLA from moving computations on the gradient out of the loop, where they would use memory.
        own, _ = jax.lax.optimization_barrier((gradient, number))
        return learned(own, state)

    return jax.lax.fori_loop(0, jnp.where(empty, 0, 1), turn, state)


def _check_alike(before: TrainState, after: TrainState) -> None:
    """Raises ValueError for the first array whose shape or dtype an update changes."""
    for (path, old), new in zip(jax.tree.leaves_with_path(before), jax.tree.leaves(after), strict=True):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise ValueError(
                f"state{jax.tree_util.keystr(path)}: expected {new.dtype}{list(new.shape)}, as an update and "
                f"`TrainState.create` make it, got {old.dtype}{list(old.shape)}"
            )


def _optimizer_numbers(optimizer_state: Any) -> Sums:
    """The learning rate and the number of consecutive skipped updates, if the optimizer state has exactly one such
    number.
    """
    names = {"learning_rate": "learning_rate", "skipped_in_a_row": "notfinite_count"}
    # A schedule has a state of the same name, besides the number itself.
    found = {
        name: optax.tree.get_all_with_path(
            optimizer_state, field, filtering=lambda _, value: isinstance(value, jax.Array)
        )
        for name, field in names.items()
    }
    numbers = {name: values[0][1] for name, values in found.items() if len(values) == 1}
    if "learning_rate" in numbers:
        numbers["learning_rate"] = numbers["learning_rate"] * scale_of(optimizer_state)
    return numbers
