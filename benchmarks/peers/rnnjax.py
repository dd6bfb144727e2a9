"""rnnjax: its module `RNN`, batch-major, by default on all devices; and variants with less."""

from typing import Any, NamedTuple

import jax

from benchmarks.peers.peer import Entrant, JaxLayer, Problem, TaskName, ready
from rnnjax import RNN, Chunked, Recurrence, Scan
from rnnjax.training import batch_mesh


class Variant(NamedTuple):
    """A way to run the module, by default with its own recurrence and on all devices."""

    recurrence: Recurrence | None = None
    devices: int | None = None

    @property
    def title(self) -> str:
        """The code that builds the module."""
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
    """The module on as many of the variant's devices as divide the batch."""
    options: dict[str, Any] = {} if variant.recurrence is None else {"recurrence": variant.recurrence}
    module = RNN(problem.cell, problem.shape.hidden, **options)

    def last(params: Any, inputs: jax.Array) -> Any:
        outputs, final = module.apply({"params": params}, inputs)
        return module.last(final, outputs)

    layer = JaxLayer({"cell": problem.weights}, last, time_major=False, to_ours=lambda tree: tree["cell"])
    most = variant.devices or jax.device_count()
    devices = max(count for count in range(1, most + 1) if problem.shape.batch % count == 0)
    return ready(layer, problem, task, batch_mesh(devices))
