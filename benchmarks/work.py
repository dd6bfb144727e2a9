"""The work that is timed: a recurrent layer's last output, its gradients, or a whole train step, on all devices."""

import dataclasses
import math
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import optax
from jax.sharding import Mesh, PartitionSpec

from rnnjax import Cell
from rnnjax.training.devices import AXIS

Task = Literal["forward", "gradient", "train"]
# last(params, inputs) -> the layer's output at the last step, (B, H).
Last = Callable[[Any, jax.Array], jax.Array]
# Adam's step size: small, so that hundreds of timed steps leave the numbers what they are.
LEARNING_RATE = 1e-6


@dataclasses.dataclass(frozen=True)
class Shape:
    """The sizes of a recurrent layer's work."""

    batch: int
    time: int
    input: int
    hidden: int

    @classmethod
    def parse(cls, spelling: str) -> "Shape":
        """Sizes from "64x500x32x100". Raises ValueError for another spelling, or a size below 1."""
        match = re.fullmatch(r"(\d+)x(\d+)x(\d+)x(\d+)", spelling)
        sizes = [int(size) for size in match.groups()] if match else []
        if not sizes or min(sizes) < 1:
            raise ValueError(f"shapes: expected BxTxIxH such as 64x500x32x100, each size at least 1, got {spelling!r}")
        return cls(*sizes)

    def flop(self, cell: Cell, task: Task) -> float:
        """Useful floating-point operations: the products with all matrices, thrice where gradients are taken.

        Each matrix of the cell's parameters is read once a step. What a recurrence computes again is not counted.
        """
        params = jax.eval_shape(lambda: cell.init_params(jax.random.key(0), self.input, self.hidden))
        entries = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params) if len(leaf.shape) > 1)
        products = 2.0 * self.batch * self.time * entries
        return products if task == "forward" else 3 * products


def optimizer() -> optax.GradientTransformation:
    """What a train step updates with."""
    return optax.adam(LEARNING_RATE)


def compute(task: Task, last: Last, mesh: Mesh | None = None, batch_axis: int = 0) -> Callable[..., Any]:
    """The task as a function to be jitted.

        forward    (params, inputs, target) -> last output (B, H)
        gradient   (params, inputs, target) -> gradients of params and inputs
        train      ((params, optimizer state), inputs, target) -> ((params, optimizer state), gradient of inputs)

    The loss is half the squared error of the last output, summed over features and averaged over the batch. A
    layer stands on another one or on an embedding: the gradient of its inputs belongs to its work. `batch_axis`
    is that of the inputs. On a mesh the batch is split over the devices, with one sum of the gradients.
    """
    rows = PartitionSpec(*(None,) * batch_axis, AXIS)
    whole = PartitionSpec()

    def split(function: Callable, out_specs: Any) -> Callable:
        if mesh is None:
            return function
        return jax.shard_map(function, mesh=mesh, in_specs=(whole, rows, PartitionSpec(AXIS)), out_specs=out_specs)

    def forward(params: Any, inputs: jax.Array, target: jax.Array) -> jax.Array:
        return last(params, inputs)

    def local_gradient(params: Any, inputs: jax.Array, target: jax.Array) -> tuple[Any, jax.Array]:
        batch = target.shape[0] * (1 if mesh is None else mesh.size)
        if mesh is not None:
            # Marked as varying, the parameters get local gradients, and one sum over devices follows for all.
            params = jax.lax.pcast(params, AXIS, to="varying")

        def loss(params: Any, inputs: jax.Array) -> jax.Array:
            return 0.5 * ((last(params, inputs) - target) ** 2).sum() / batch

        d_params, d_inputs = jax.grad(loss, (0, 1))(params, inputs)
        return (d_params if mesh is None else jax.lax.psum(d_params, AXIS)), d_inputs

    gradient = split(local_gradient, (whole, rows))

    def train(carried: tuple[Any, Any], inputs: jax.Array, target: jax.Array) -> tuple[tuple[Any, Any], jax.Array]:
        params, optimizer_state = carried
        d_params, d_inputs = gradient(params, inputs, target)
        updates, optimizer_state = optimizer().update(d_params, optimizer_state, params)
        return (optax.apply_updates(params, updates), optimizer_state), d_inputs

    return {"forward": split(forward, PartitionSpec(AXIS)), "gradient": gradient, "train": train}[task]


class Executable(NamedTuple):
    """A compiled function with what it took to make and what it takes to run."""

    compiled: jax.stages.Compiled
    lower_seconds: float
    compile_seconds: float
    temp_bytes: int | None  # of all devices together; None where the backend does not say


def build(function: Callable[..., Any], arguments: Sequence[Any], task: Task, mesh: Mesh | None = None) -> Executable:
    """A task's function, lowered (tracing included) and compiled. A train step may overwrite its first argument."""
    jitted = jax.jit(function, donate_argnums=(0,) if task == "train" else ())
    jax.block_until_ready(arguments)
    start = time.perf_counter()
    lowered = jitted.lower(*arguments)
    between = time.perf_counter()
    compiled = lowered.compile()
    end = time.perf_counter()
    memory = compiled.memory_analysis()  # of one device
    temp_bytes = None if memory is None else memory.temp_size_in_bytes * (1 if mesh is None else mesh.size)
    return Executable(compiled, between - start, end - between, temp_bytes)
