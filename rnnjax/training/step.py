"""The train and eval steps: one code path from one device to many."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, PartitionSpec

from rnnjax.dtypes import cast_like, widen
from rnnjax.training.compiled import CompiledStep
from rnnjax.training.devices import AXIS, side_by_side
from rnnjax.training.histograms import empty_histograms, gradient_histograms
from rnnjax.training.objective import Objective, Sums, SumsOf
from rnnjax.training.state import TrainState

# Arrays whose rows the devices share, and arrays that every device has whole.
SHARD, WHOLE = PartitionSpec(AXIS), PartitionSpec()


def train_step(
    objective: Objective | SumsOf,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    *,
    clip: float | None = None,
    averaging: float = 0.0,
    histograms: int | None = None,
    donate: bool = True,
    seeds: bool = False,
) -> CompiledStep:
    """A step (state, batch) -> (state, sums), its state donated (by default), the batch's rows split over the mesh.

        gradient = sum over devices of d(local loss) / sum over devices of (local weight)
        gradient *= min(1, clip / |gradient|)

    with the global norm (Pascanu et al. 2013). Gradients are summed, divided and clipped, and the optimizer works, in
    float32 at least; parameters keep their own dtype. The loss of a step is `sums["loss"] / sums["weight"]`. Each
    step's key is folded in from the state's key and step number, so a step depends on nothing but the state and its
    batch.
    What an objective carries is in the state, its rows split as the batch's are.
    A batch whose weight is 0 in all teaches nothing: the step goes on to the next number and hands on what the
    objective carries; parameters, average and the optimizer's state stay as they were.
    With an `averaging` above 0, the state has a moving average of the parameters after each step t from 0 on
    (Polyak and Juditsky 1992; over all steps at first), which is what is evaluated and kept:

        average = d * average + (1 - d) * params,  d = min(averaging, (1 + t) / (10 + t))

    After every `histograms` steps the sums hold one of each gradient before clipping (`gradient_histograms`).
    With `seeds`, the state, the batch and the sums have a leading axis of seeds, which the mesh splits: each is
    trained as if it were alone.
    Raises ValueError for a clip or number of steps that is not above 0, an averaging not in [0, 1), and, when called,
    for a state that has an average where none is kept, or has none where it is, or whose optimizer state is of other
    dtypes than `TrainState.create` makes.
    """
    if histograms is not None and histograms < 1:
        raise ValueError(f"histograms: expected at least 1, got {histograms}")
    if clip is not None and not 0 < clip < math.inf:
        raise ValueError(f"clip: expected a number above 0, got {clip}")
    if not 0 <= averaging < 1:
        raise ValueError(f"averaging: expected 0 <= decay < 1, got {averaging}")
    clipping = optax.identity() if clip is None else optax.clip_by_global_norm(clip)

    objective = Objective.of(objective)

    def summed(params: Any, batch: Any, key: jax.Array, carry: Any) -> tuple[Any, Sums, Any]:
        def loss(params: Any) -> tuple[jax.Array, tuple[Sums, Any]]:
            sums, after = objective.carried(params, batch, key, carry)
            return sums["loss"], (sums, after)

        gradient, (sums, after) = jax.grad(loss, has_aux=True)(params)
        return widen(gradient), widen(sums), after

    def local(params: Any, batch: Any, key: jax.Array, carry: Any) -> tuple[Any, Sums, Any]:
        # The gradients are local ones, so that one sum over devices follows for all.
        gradient, sums, after = summed(params, batch, key, carry)
        return *jax.lax.psum((gradient, sums), AXIS), after

    split = _over_devices(local, mesh, (WHOLE, SHARD, WHOLE, SHARD), (WHOLE, WHOLE, SHARD))
    gradients = summed if seeds else split

    def learned(gradient: Any, state: TrainState) -> TrainState:
        wide = widen(state.params)
        gradient, _ = clipping.update(gradient, clipping.init(wide))
        updates, optimizer_state = optimizer.update(gradient, state.optimizer_state, wide)
        params = cast_like(optax.apply_updates(wide, updates), state.params)
        average = _averaged(state, widen(params), averaging) if averaging else ()
        after = state._replace(params=params, optimizer_state=optimizer_state, average=average)
        _check_alike(state, after)
        return after

    on_cpu = mesh.devices.flat[0].platform == "cpu"

    def step(state: TrainState, batch: Any) -> tuple[TrainState, Sums]:
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

    return CompiledStep(side_by_side(step, mesh) if seeds else step, mesh, donate, objective)


def _mean(gradient: Any, weight: jax.Array, empty: jax.Array) -> Any:
    """The gradient of a mean from that of a sum; zero where nothing has a weight."""
    weight = jnp.where(empty, 1, weight)
    return jax.tree.map(lambda leaf: jnp.where(empty, 0, leaf / weight).astype(leaf.dtype), gradient)


def _unless(
    empty: jax.Array, learned: Callable[[Any, TrainState], TrainState], gradient: Any, state: TrainState, on_cpu: bool
) -> TrainState:
    """The state after an update, or as it was where the batch is empty.

    A choice between two states keeps both in memory, and the optimizer's own is copied for it: a quarter of a step of
    text classifiers with 1.3 million parameters on two CPU cores. There the update is a loop of one turn or none, in
    place. Not so on accelerators, where such a loop waits for the host, and a copy costs next to nothing.
    """
    if not on_cpu:
        return jax.tree.map(lambda old, new: jnp.where(empty, old, new), state, learned(gradient, state))

    def turn(number: jax.Array, state: TrainState) -> TrainState:
        # Of this turn: else what is made of the gradient alone is computed before the loop, and written to memory.
        own, _ = jax.lax.optimization_barrier((gradient, number))
        return learned(own, state)

    return jax.lax.fori_loop(0, jnp.where(empty, 0, 1), turn, state)


def _check_alike(before: TrainState, after: TrainState) -> None:
    """Raises ValueError for the first array that an update gives another shape or dtype."""
    for (path, old), new in zip(jax.tree.leaves_with_path(before), jax.tree.leaves(after), strict=True):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise ValueError(
                f"state{jax.tree_util.keystr(path)}: expected {new.dtype}{list(new.shape)}, as an update makes it and "
                f"`TrainState.create` begins with, got {old.dtype}{list(old.shape)}"
            )


def _averaged(state: TrainState, params: Any, averaging: float) -> Any:
    """The moving average after a step that has made these parameters."""

    def leaf(old: jax.Array, new: jax.Array) -> jax.Array:
        steps = state.step.astype(old.dtype)
        kept = jnp.minimum(averaging, (1 + steps) / (10 + steps))
        return kept * old + (1 - kept) * new

    return jax.tree.map(leaf, state.average, params)


def _optimizer_numbers(optimizer_state: Any) -> Sums:
    """The learning rate and the updates skipped in a row, where the optimizer's state holds exactly one such number."""
    names = {"learning_rate": "learning_rate", "skipped_in_a_row": "notfinite_count"}
    # A schedule has a state of the same name beside the number itself.
    found = {
        name: optax.tree.get_all_with_path(
            optimizer_state, field, filtering=lambda _, value: isinstance(value, jax.Array)
        )
        for name, field in names.items()
    }
    return {name: values[0][1] for name, values in found.items() if len(values) == 1}


def eval_step(objective: Objective | SumsOf, mesh: Mesh, *, seeds: bool = False) -> CompiledStep:
    """A step (params, batch) -> sums over the batch's rows; `seeds` as for `train_step`.

    Of an objective that carries it is ((params, carry), batch) -> (carry, sums).
    """
    objective = Objective.of(objective)

    def summed(carried: tuple[Any, Any], batch: Any) -> tuple[Any, Sums]:
        params, carry = carried
        sums, after = objective.carried(params, batch, None, carry)
        return after, widen(sums)

    def local(carried: tuple[Any, Any], batch: Any) -> tuple[Any, Sums]:
        after, sums = summed(carried, batch)
        return after, jax.lax.psum(sums, AXIS)

    split = _over_devices(local, mesh, ((WHOLE, SHARD), SHARD), (SHARD, WHOLE))
    step = side_by_side(summed, mesh) if seeds else split
    if objective.carries:
        return CompiledStep(step, mesh, False, objective)
    return CompiledStep(lambda params, batch: step((params, ()), batch)[1], mesh, False, objective)


def _over_devices(local: Callable, mesh: Mesh, in_specs: Any, out_specs: Any) -> Callable:
    """The function run on every device's share.

    JAX's check of what varies over the mesh is off: an objective may be any function, and most loops have a carry that
    begins as an array that all devices share. Gradients of such arrays are then local ones, which `local` must sum.
    """
    return jax.shard_map(local, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)
