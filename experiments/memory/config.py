"""What a training on a memory task is: its options, and the task and network that they describe."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal

import flax.linen as nn
import jax

from experiments.memory.cells import RecurrentInit, starting
from rnnjax import RNN, Chunked, Recurrence, Scan, StackedRNN, Unrolled
from rnnjax.commands.cells import CellOption
from rnnjax.data.digits import Digits
from rnnjax.data.memory_tasks import Adding, Copy, MemoryTask, Order, Parity, Recall
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
    """A recurrent stack, and a dense head on the outputs of the last steps."""

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
    """Train a recurrent net on a memory task, several seeds at once."""

    task: Task = "adding"
    """What is to be remembered."""
    time: int | None = None
    """T of the task; its usual one unless given."""
    cell: CellOption = "lstm"
    """What happens at one step: a cell of the library, or your own. irnn has ReLU and an identity start; nig to np are
    a peephole-lstm without one part."""
    hidden: int = 64
    """Hidden features of each layer."""
    layers: int = 1
    """Recurrent layers."""
    recurrence: Literal["chunked", "scan", "unrolled"] = "chunked"
    """How the cell is run over time: the same curve at another cost."""
    recurrent_init: RecurrentInit = "own"
    """Start of the recurrent kernel, gate by gate; own is the cell's."""
    recurrent_scale: float = 1.0
    """The recurrent kernel at the start is times this."""
    forget_bias: float | None = None
    """Of a cell with a forget gate; its own unless given."""
    chrono: bool = False
    """Start the gates of an LSTM or GRU for memories of 1 step up to all of the task's."""
    batch: int = 64
    """Sequences of an update, new ones each time."""
    updates: int = 5000
    """Updates at most."""
    block: int = 50
    """Updates from one evaluation to the next; they run on the device without host synchronisation."""
    evaluation: int = 512
    """Sequences of an evaluation, new ones each time; of digits, the whole test part."""
    stop: bool = True
    """Stop once every seed has solved the task or diverged."""
    seeds: int = 2
    """Number of seeds that are trained together, distributed over the devices."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(
            self,
            at_least_one=("time", "hidden", "layers", "batch", "updates", "block", "evaluation"),
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
