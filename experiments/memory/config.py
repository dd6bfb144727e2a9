"""The options of a training on a memory task, and the task and network that they describe."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from rnnjax.cell_names import RecurrenceName, check_cell
from rnnjax.commands.cells import CellOption
from rnnjax.fields import check_fields
from rnnjax.lazy import deferred
from rnnjax.runs import SeedsConfig

if TYPE_CHECKING:
    from experiments.memory.network import AnsweringRNN
    from rnnjax.data.memory_task import MemoryTask

Task = Literal["adding", "copy", "recall", "parity", "order", "digits"]
RecurrentInit = Literal["own", "orthogonal", "identity"]
# Units of all layers together for which every task and cell has room.
MOST_KNOWN = 1_024


TASKS: Mapping[str, Callable[..., "MemoryTask"]] = {
    "digits": deferred("rnnjax.data.digits", "Digits"),
    **{
        name.lower(): deferred("rnnjax.data.memory_tasks", name)
        for name in ("Adding", "Copy", "Recall", "Parity", "Order")
    },
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory(SeedsConfig):
    """Train a recurrent network on a memory task, several seeds at once."""

    task: Task = "adding"
    """Memory task."""
    time: int | None = None
    """T of the task: the time over which to remember. Default: that of the task."""
    cell: CellOption = "lstm"
    """Cell: one of the library, or your own as module:Name. irnn is an Elman cell with ReLU and identity
    initialisation; nig to np are peephole-lstm without one part."""
    hidden: int = 64
    """Number of hidden units of each layer."""
    layers: int = 1
    """Number of recurrent layers."""
    recurrence: RecurrenceName = "chunked"
    """How the cell is run over time: affects speed and memory, not the results. associative: linear cells only."""
    recurrent_init: RecurrentInit = "own"
    """Initialisation of the recurrent kernel of each gate; own: that of the cell."""
    recurrent_scale: float = 1.0
    """Factor of the initial recurrent kernel."""
    forget_bias: float | None = None
    """Initial bias of the forget gate, for cells that have one. Default: that of the cell."""
    chrono: bool = False
    """Chrono initialisation: gates of an LSTM or GRU start with memories of 1 step to the length of the task."""
    batch_size: int = 64
    """Batch size: sequences in each update, newly drawn for every update."""
    updates: int = 5000
    """Largest number of updates."""
    block: int = 50
    """Updates between two evaluations; they run on the device without host synchronisation. Schedule step: an epoch."""
    evaluation: int = 512
    """Sequences in each evaluation, newly drawn for every evaluation; for digits, the whole test part is used."""
    stop: bool = True
    """Stop when every seed has solved the task or diverged."""
    seeds: int = 2
    """Number of seeds trained together, spread over the devices."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(
            self,
            at_least_one=("time", "hidden", "layers", "batch_size", "updates", "block", "evaluation"),
            above_zero=("recurrent_scale",),
        )
        check_cell(self.cell, self.recurrence)
        if self.updates % self.block:
            raise ValueError(f"updates: expected a multiple of block {self.block}, got {self.updates}")
        if not self._fits():
            self.network()

    def _fits(self) -> bool:
        """Whether the network can be built, for all that is known without JAX, which `--help` does not import."""
        usual_time = self.time is None or (self.task == "recall" and self.time > 2)
        usual_start = (self.recurrent_init, self.recurrent_scale, self.forget_bias) == ("own", 1.0, None)
        small = self.layers * self.hidden <= MOST_KNOWN
        return self.cell in ("gru", "lstm") and usual_time and usual_start and small

    def problem(self) -> "MemoryTask":
        """The task. Raises as the task does."""
        task = TASKS[self.task]
        return task() if self.time is None else task(self.time)

    def network(self) -> "AnsweringRNN":
        """The network that answers the task. Raises as the task and the cell do."""
        from experiments.memory.cells import starting
        from experiments.memory.network import AnsweringRNN
        from rnnjax import StackedRNN
        from rnnjax.layers import layer_of
        from rnnjax.recurrences.names import RECURRENCES
        from rnnjax.training.capacity import check_layers

        task = self.problem()
        cell = starting(
            self.cell,
            recurrent_init=self.recurrent_init,
            recurrent_scale=self.recurrent_scale,
            forget_bias=self.forget_bias,
            longest=task.steps if self.chrono else None,
        )
        check_layers(self.layers, self.hidden)
        layers = [layer_of(cell, self.hidden, RECURRENCES[self.recurrence]) for _ in range(self.layers)]
        return AnsweringRNN(StackedRNN(layers), task.answers, task.outputs)
