"""The train and eval steps: one code path from one device to many."""

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
    objective = Objective.of(objective)
    local = gradient_sums(objective)

    def summed(params: Any, batch: Any, key: jax.Array, carry: Any) -> tuple[Any, Sums, Any]:
        # The gradients are local ones, so that one sum over devices follows for all.
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
