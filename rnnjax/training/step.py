"""The train and eval steps: the same code for one device and for many."""

from collections.abc import Callable
from typing import Any

import jax
import optax
from jax.sharding import Mesh, PartitionSpec

from rnnjax.dtypes import widen
from rnnjax.training.compiled import CompiledStep
from rnnjax.training.devices import AXIS, side_by_side
from rnnjax.training.objective import Objective, Sums, SumsOf
from rnnjax.training.update import gradient_sums, update_of

# Arrays whose rows are split over the devices, and arrays that are replicated.
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
    """A step (state, batch) -> (state, sums); the rows of the batch are split over the mesh.

        gradient = sum over devices of d(local loss) / sum over devices of (local weight)
        gradient *= min(1, clip / |gradient|)

    with the global norm (Pascanu et al. 2013). With `donate`, the state is donated. Gradients and optimizer use float32
    at least; the parameters keep their dtype. The loss of a step is `sums["loss"] / sums["weight"]`. The key of a step
    is folded from the key and the step number of the state, so that a step depends only on its state and its batch.
    The carry of an objective is in the state; its rows are split like those of the batch.
    If all weights of a batch are zero, only the step number and the carry change; parameters, average and optimizer
    state do not.
    With an `averaging` above 0, the state has a moving average of the parameters (Polyak and Juditsky 1992), which is
    used for evaluation. After each step t, counted from 0:

        average = d * average + (1 - d) * params,  d = min(averaging, (1 + t) / (10 + t))

    unless the optimizer has `average_start`, which says when the average begins.
    Every `histograms` steps, the sums have a histogram of each gradient before clipping (`gradient_histograms`).
    With `seeds`, state, batch and sums have a leading axis of seeds that is split over the mesh; each seed is trained
    independently of the others.
    Raises ValueError for a clip or `histograms` that is not above 0, and for an averaging not in [0, 1]. The step
    raises ValueError if the state has an average but `averaging` is 0 or the other way round, and for an optimizer
    state with other dtypes than `TrainState.create` makes.
    """
    objective = Objective.of(objective)
    local = gradient_sums(objective)

    def summed(params: Any, batch: Any, key: jax.Array, carry: Any) -> tuple[Any, Sums, Any]:
        # Gradients and sums are local, and summed over the devices together.
        gradient, sums, after = local(params, batch, key, carry)
        return *jax.lax.psum((gradient, sums), AXIS), after

    split = _over_devices(summed, mesh, (WHOLE, SHARD, WHOLE, SHARD), (WHOLE, WHOLE, SHARD))
    step = update_of(
        objective,
        optimizer,
        clip=clip,
        averaging=averaging,
        histograms=histograms,
        gradients=local if seeds else split,
        platform=mesh.devices.flat[0].platform,
    )
    return CompiledStep(side_by_side(step, mesh) if seeds else step, mesh, donate, objective)


def eval_step(objective: Objective | SumsOf, mesh: Mesh, *, seeds: bool = False) -> CompiledStep:
    """A step (params, batch) -> sums over the batch's rows; `seeds` as for `train_step`.

    For an objective that carries, the step is ((params, carry), batch) -> (carry, sums).
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
    """The function applied to the shard of every device.

    JAX's check of values that vary over the mesh (`check_vma`) is off: an objective may be any function, and the carry
    of most loops starts as a replicated array. Gradients are then local, and `local` must sum them.
    """
    return jax.shard_map(local, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)
