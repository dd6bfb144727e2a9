"""The timed work: the last output of a recurrent layer, its gradients, or a whole train step, on all devices."""

import dataclasses
import functools
import math
import re
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks.timing import repeated
from rnnjax import Cell
from rnnjax.training.devices import AXIS

Task = Literal["forward", "gradient", "train"]
# last(params, inputs) -> the layer's output at the last step, (B, H).
Last = Callable[[Any, jax.Array], jax.Array]
LEARNING_RATE = 1e-6  # so small that hundreds of timed steps hardly change the numbers
ADAM_B1 = 0.9  # optax's default


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
        """Useful floating-point operations: one product with each matrix and step, three with gradients.

        Recomputation does not count.
        """
        params = jax.eval_shape(lambda: cell.init_params(jax.random.key(0), self.input, self.hidden))
        entries = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params) if len(leaf.shape) > 1)
        products = 2.0 * self.batch * self.time * entries
        return products if task == "forward" else 3 * products


def optimizer() -> optax.GradientTransformation:
    """The optimizer of a train step."""
    return optax.adam(LEARNING_RATE)


def compute(task: Task, last: Last, mesh: Mesh | None = None, batch_axis: int = 0) -> Callable[..., Any]:
    """The task as a function to be jitted.

        forward    (params, inputs, target) -> last output (B, H)
        gradient   (params, inputs, target) -> gradients of params and inputs
        train      ((params, optimizer state), inputs, target) -> ((params, optimizer state), gradient of inputs)

    The loss is half the squared error of the last output, summed over features and averaged over the batch. The
    gradient of the inputs is included: a layer usually follows another one or an embedding. On a mesh the batch is
    split over the devices, with one sum of the gradients.
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


class Numbers(NamedTuple):
    """What a task runs on, NumPy arrays or arrays on devices."""

    params: Any
    inputs: Any  # (T, B, I), or (B, T, I) if `batch_axis` is 0
    target: Any  # (B, O)


class Executable(NamedTuple):
    """A compiled function, how long it took to compile, and its temporary memory."""

    compiled: jax.stages.Compiled
    lower_seconds: float
    compile_seconds: float
    temp_bytes: int | None  # of all devices together; None if the backend does not report it


class Work(NamedTuple):
    """A task of a layer: `batch_axis` is that of its inputs. With a mesh, its devices share the batch."""

    task: Task
    last: Last
    batch_axis: int
    mesh: Mesh | None = None

    def arguments(self, numbers: Numbers) -> tuple[Any, ...]:
        """The arguments of the first call, on the devices. Each call makes new ones: a train step overwrites them."""
        first = (numbers.params, optimizer().init(numbers.params)) if self.task == "train" else numbers.params
        rows = PartitionSpec(*(None,) * self.batch_axis, AXIS)
        given, specs = (first, *numbers[1:]), (PartitionSpec(), rows, PartitionSpec(AXIS))
        mesh = self.mesh
        return jax.device_put(given, None if mesh is None else tuple(NamedSharding(mesh, spec) for spec in specs))

    def build(self, arguments: tuple[Any, ...]) -> Executable:
        """The task, lowered (tracing included) and compiled for these arguments."""
        function = compute(self.task, self.last, self.mesh, self.batch_axis)
        jitted = jax.jit(function, donate_argnums=(0,) if self.task == "train" else ())
        jax.block_until_ready(arguments)
        start = time.perf_counter()
        lowered = jitted.lower(*arguments)
        between = time.perf_counter()
        compiled = lowered.compile()
        end = time.perf_counter()
        memory = compiled.memory_analysis()  # of one device
        devices = 1 if self.mesh is None else self.mesh.size
        temp_bytes = None if memory is None else memory.temp_size_in_bytes * devices
        return Executable(compiled, between - start, end - between, temp_bytes)

    def answer(self, result: Any) -> Any:
        """The last output, or the gradients of parameters and inputs, from the result of the first call.

        After the first step Adam's first moment is (1 - b1) times the gradient.
        """
        if self.task != "train":
            return jax.device_get(result)
        (_, optimizer_state), d_inputs = result
        moments, d_inputs = jax.device_get((optax.tree.get(optimizer_state, "mu"), d_inputs))
        return jax.tree.map(lambda moment: np.asarray(moment) / np.float32(1 - ADAM_B1), moments), d_inputs

    def stepper(self, compiled: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[[], Any]:
        """A call that does the task once. A train step continues from the parameters of the previous one."""
        return (repeated if self.task == "train" else functools.partial)(compiled, *arguments)
