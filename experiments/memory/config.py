"""The options of a training on a memory task, and the task and network that they describe."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal

import flax.linen as nn
import jax

from experiments.memory.cells import RecurrentInit, starting
from rnnjax import RNN, Chunked, Recurrence, Scan, StackedRNN, Unrolled
from rnnjax.commands.cells import CellOption
from rnnjax.data.digits import Digits
from rnnjax.data.memory_task import MemoryTask
from rnnjax.data.memory_tasks import Adding, Copy, Order, Parity, Recall
from rnnjax.fields import check_fields
from rnnjax.runs import SeedsConfig
from rnnjax.training.capacity import check_layers

Task = Literal["adding", "copy", "recall", "parity", "order", "digits"]
TASKS: Mapping[str, Callable[..., MemoryTask]] = {
    "adding": Adding,
    "copy": Copy,
    "recall": Recall,
    "parity": Parity,
    "order": Order,
    "digits": Digits,
}
RECURRENCES: Mapping[str, Recurrence] = {"chunked": Chunked(), "scan": Scan(), "unrolled": Unrolled()}


class AnsweringRNN(nn.Module):
    """A recurrent stack, and a dense head on its outputs at the last steps."""

    recurrent: StackedRNN
    answers: int
    outputs: int

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Outputs `(B, A, O)` of the last A steps, from inputs `(B, T, I)`."""
        hidden, final = self.recurrent(inputs)
        read = self.recurrent.last(final, hidden)[:, None] if self.answers == 1 else hidden[:, -self.answers :]
        return nn.Dense(self.outputs, name="head")(read)


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
    recurrence: Literal["chunked", "scan", "unrolled"] = "chunked"
    """How the cell is run over time: affects speed and memory, not the results."""
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
        if self.updates % self.block:
            raise ValueError(f"updates: expected a multiple of block {self.block}, got {self.updates}")
        self.network()

    def problem(self) -> MemoryTask:
        """The task. Raises as the task does."""
        task = TASKS[self.task]
        return task() if self.time is None else task(self.time)

    def network(self) -> AnsweringRNN:
        """The network that answers the task. Raises as the task and the cell do."""
        task = self.problem()
        cell = starting(
            self.cell,
            recurrent_init=self.recurrent_init,
            recurrent_scale=self.recurrent_scale,
            forget_bias=self.forget_bias,
            longest=task.steps if self.chrono else None,
        )
        check_layers(self.layers, self.hidden)
        layers = [RNN(cell, self.hidden, RECURRENCES[self.recurrence]) for _ in range(self.layers)]
        return AnsweringRNN(StackedRNN(layers), task.answers, task.outputs)
