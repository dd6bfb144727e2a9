"""Competing calls are timed in interleaved rounds, so that a slower phase of the machine affects all of them."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

PEAK = "matrix product"  # its name among the timed calls
PEAK_SIZE, ACCELERATOR_PEAK_SIZE = 2048, 8192


class Spread(NamedTuple):
    """The lower quartile, the median and the upper quartile."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Spread":
        return cls(*map(float, np.quantile(values, (0.25, 0.5, 0.75))))


class Turn(NamedTuple):
    """One call of one competitor."""

    name: str
    round: int
    seconds: float
    result: Any


def in_turn(calls: Mapping[str, Callable[[], Any]], rounds: int) -> Iterator[Turn]:
    """Each call once in every round, timed until its result is ready. Every other round runs in reverse order."""
    for round in range(rounds):
        for name in calls if round % 2 == 0 else reversed(list(calls)):
            start = time.perf_counter()
            result = jax.block_until_ready(calls[name]())
            yield Turn(name, round, time.perf_counter() - start, result)


def repeated(step: Callable[..., tuple[Any, Any]], carried: Any, *arguments: Any) -> Callable[[], None]:
    """A call that takes one more step from the state after the previous one, and waits for it."""

    def call() -> None:
        nonlocal carried
        carried, rest = step(carried, *arguments)
        jax.block_until_ready((carried, rest))

    return call


def interleaved(
    calls: Mapping[str, Callable[[], Any]], rounds: int, watch: Callable[[int], object] = lambda done: None
) -> dict[str, np.ndarray]:
    """Seconds of every call in every round, after one untimed call each. `watch` receives the number of rounds done.

    A call must return when its work is done, or return JAX arrays.
    """
    for call in calls.values():
        jax.block_until_ready(call())
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in in_turn(calls, rounds):
        seconds[turn.name].append(turn.seconds)
        if all(len(values) > turn.round for values in seconds.values()):
            watch(turn.round + 1)
    return {name: np.array(values) for name, values in seconds.items()}


def matrix_product(
    size: int | None = None, dtype: Any = jnp.float32, mesh: Mesh | None = None
) -> tuple[Callable[[], jax.Array], float]:
    """A square matrix product, and its number of floating-point operations.

    It runs on the default device, or on a mesh with one product for each device. The default `size` is 2048, and 8192
    on GPUs and TPUs, where launching a smaller product takes longer than the product.
    """
    size = size or (PEAK_SIZE if jax.default_backend() == "cpu" else ACCELERATOR_PEAK_SIZE)
    count = 1 if mesh is None else mesh.size
    left = jax.random.normal(jax.random.key(0), (count * size, size), dtype)
    right = left[:size]
    if mesh is not None:
        left = jax.device_put(left, NamedSharding(mesh, PartitionSpec(mesh.axis_names[0])))
        right = jax.device_put(right, NamedSharding(mesh, PartitionSpec()))
    product = jax.jit(jnp.matmul).lower(left, right).compile()
    return lambda: product(left, right), 2.0 * count * size**3
