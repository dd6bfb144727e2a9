"""rnnjax: its module `RNN`, batch-major, the batch split over all devices; and what each part of that gains."""

import dataclasses
from typing import Any

import jax

from benchmarks.peers.jax_layer import JaxLayer, ready
from benchmarks.peers.peer import Entrant, Problem, TaskName
from rnnjax import RNN, Chunked, Recurrence, Scan
from rnnjax.training import batch_mesh


@dataclasses.dataclass(frozen=True)
class Variant:
    """A way to run the module. No recurrence is the module's default, no devices are all that there are."""

    recurrence: Recurrence | None = None
    devices: int | None = None

    @property
    def title(self) -> str:
        """What the module is built with, as a user writes it."""
        options = "" if self.recurrence is None else f", {self.recurrence}"
        return f"rnnjax `RNN(cell, H{options})`" + (", one device" if self.devices == 1 else "")


OURS = "rnnjax"  # the one that peers are compared with
VARIANTS: dict[str, Variant] = {
    OURS: Variant(),
    "rnnjax-one-device": Variant(devices=1),
    "rnnjax-scan": Variant(Scan()),
    "rnnjax-gates": Variant(Chunked(keep="gates")),
    "rnnjax-boundaries": Variant(Chunked(keep="boundaries")),
}


def build(variant: Variant, problem: Problem, task: TaskName) -> Entrant:
    """The module over the most devices that divide the batch, at most as many as the variant has."""
    module = RNN(problem.cell, problem.shape.hidden)
    if variant.recurrence is not None:
        module = module.clone(recurrence=variant.recurrence)

    def last(params: Any, inputs: jax.Array) -> Any:
        outputs, final = module.apply({"params": params}, inputs)
        return module.last(final, outputs)

    layer = JaxLayer({"cell": problem.weights}, last, time_major=False, to_ours=lambda tree: tree["cell"])
    most = variant.devices or jax.device_count()
    devices = max(count for count in range(1, most + 1) if problem.shape.batch % count == 0)
    return ready(layer, problem, task, batch_mesh(devices))
