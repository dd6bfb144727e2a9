"""The work that is timed: a recurrent layer's last output, its gradients, or a whole train step, on all devices."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import optax
from jax.sharding import Mesh, PartitionSpec

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

    def flop(self, gates: int, task: Task) -> float:
        """Useful floating-point operations: both matrix products of every step, thrice where gradients are taken.

        What a recurrence computes again is not counted.
        """
        products = 2.0 * self.batch * self.time * (self.input + self.hidden) * gates * self.hidden
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
