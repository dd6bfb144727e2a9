"""Random problems for one cell, and the programs that run them."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.cells import Cell
from rnnjax.dtypes import at_least_float32, cast_like
from rnnjax.recurrences import Recurrence
from rnnjax.recurrences.chunk_gradient import continuous, replaced
from rnnjax.testing.findings import wide
from rnnjax.types import Size, features

# Most of the time is compilation, and most of that is optimisation. None of these options changes a dtype or allows
# fast math. Without fusion emitters, which are compiled one by one, compilation takes a quarter of the time.
FAST_COMPILE: dict[str, Any] = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
# Two chunks of two steps, and one step left over.
TIME, CHUNK = 5, 2
# Scale of the random numbers added to every parameter, because with a zero bias a missing bias would go unnoticed.
SPREAD = 0.1


class Arrays(NamedTuple):
    """The arguments of a recurrence that are differentiated."""

    params: Any
    inputs: Any
    initial_state: Any
    reset_state: Any


class Given(NamedTuple):
    """The other arguments: lengths 0, 1, T and in between, resets, and the weights of the results in the loss."""

    lengths: Any
    resets: Any
    weights: Any


class Problem(NamedTuple):
    """A random problem as NumPy arrays in float64, a second set of parameters, and parameters without added noise."""

    arrays: Arrays
    others: Any
    fresh: Any
    given: Given


@dataclasses.dataclass(frozen=True)
class Subject:
    """A cell under test, with the sizes to test."""

    cell: Cell
    input_size: Size
    hidden_size: Size
    seed: int

    @property
    def batch(self) -> int:
        """The batch size: an even number of at least 6 that differs from all other sizes."""
        taken = {TIME, *features(self.input_size), *features(self.hidden_size)}
        return next(size for size in range(6, 100, 2) if size not in taken)

    def init_params(self, key: jax.Array, dtype: Any) -> Any:
        """New parameters, without the Flax boxes that initialisers may add."""
        return nn.meta.unbox(self.cell.init_params(key, self.input_size, self.hidden_size, dtype))

    def shapes_of_params(self, dtype: Any) -> Any:
        """Shapes and dtypes of new parameters."""
        return jax.eval_shape(lambda: self.init_params(jax.random.key(0), jnp.dtype(dtype)))

    def initialiser(self, dtype: Any) -> Callable[[int], Any]:
        """`init_params` newly compiled, as a function of a number that determines the key."""
        program = compiled(functools.partial(self.init_params, dtype=dtype))
        return lambda number: program(jax.random.key(self.seed + number))

    def init_state(self, dtype: Any = jnp.float32, batch: int | None = None) -> Any:
        """The initial state of the cell."""
        return self.cell.init_state(batch or self.batch, self.hidden_size, dtype)

    def cast(self, arrays: Arrays, dtype: str) -> Arrays:
        """The arrays for a run in this dtype: the states in the dtypes of the cell's `init_state`."""
        like = jax.eval_shape(functools.partial(self.init_state, dtype))
        initial, reset = (
            jax.tree.map(lambda leaf, own: np.asarray(leaf).astype(own.dtype), state, like)
            for state in (arrays.initial_state, arrays.reset_state)
        )
        params, inputs = jax.tree.map(lambda leaf: as_dtype(leaf, dtype), (arrays.params, arrays.inputs))
        return Arrays(params, inputs, initial, reset)


def as_dtype(array: Any, dtype: Any) -> np.ndarray:
    """The array in the dtype if it is real floating-point, otherwise unchanged."""
    array = np.asarray(array)
    return array.astype(jnp.dtype(dtype)) if jnp.issubdtype(array.dtype, jnp.floating) else array


def rounded(array: Any) -> np.ndarray:
    """The array rounded to numbers that every dtype can represent, so that the problem is the same in each."""
    array = np.asarray(array)
    if jnp.iscomplexobj(array):
        return (rounded(array.real) + 1j * rounded(array.imag)).astype(array.dtype)
    return as_dtype(as_dtype(array, jnp.bfloat16), array.dtype)


def one_step(cell: Cell) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """`(params, inputs, state) -> (state, output)` of one step, using only the functions of the cell."""

    def run(params: Any, inputs: Any, state: Any) -> tuple[Any, Any]:
        after = cast_like(cell.step(params, inputs, state), state)
        own, effective = cell.effective(params)
        return after, own.output(own.extras_of(effective), after, inputs)

    return run


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled with fast options; it returns NumPy arrays."""
    program = jax.jit(function, compiler_options=FAST_COMPILE)
    return lambda *arguments: jax.device_get(program(*arguments))


def random_like(random: np.random.Generator, like: Any) -> np.ndarray:
    """Normal random numbers with the shape of `like`, complex if it is complex."""
    numbers = random.normal(size=like.shape)
    if jnp.issubdtype(like.dtype, jnp.complexfloating):
        numbers = numbers + 1j * random.normal(size=like.shape)
    return rounded(numbers)


def make_problem(subject: Subject, step: Callable[..., Any]) -> Problem:
    """A random problem in float64. Its states result from steps of the cell, so they are valid states."""
    random, batch = np.random.default_rng(subject.seed), subject.batch
    draw = subject.initialiser(jnp.float64)
    fresh = draw(0)

    def spread(leaf: Any) -> np.ndarray:
        floating = jnp.issubdtype(leaf.dtype, jnp.inexact)
        return rounded(leaf + SPREAD * random.normal(size=leaf.shape)) if floating else leaf

    params, others = (jax.tree.map(spread, drawn) for drawn in (fresh, draw(1)))
    inputs = rounded(random.normal(size=(TIME, batch, *features(subject.input_size))))
    states = [jax.device_get(subject.init_state(jnp.float64))]
    output: Any = None
    for _ in range(4):
        state, output = step(params, rounded(random.normal(size=inputs.shape[1:])), states[-1])
        states.append(jax.tree.map(rounded, state))
    over_time = jax.tree.map(lambda leaf: np.empty((TIME, *leaf.shape), leaf.dtype), (output, states[0]))
    weights = jax.tree.map(
        functools.partial(random_like, random),
        {"outputs": over_time[0], "final_state": states[0], "states": over_time[1]},
    )
    lengths = np.array([TIME, 0, 1, *random.integers(1, TIME, size=batch), TIME], np.int32)[:batch]
    resets = random.random((TIME, batch)) < 0.2
    resets[TIME // 2, 0] = True  # inside a sequence, with steps before and after it
    return Problem(Arrays(params, inputs, states[4], states[2]), others, fresh, Given(lengths, resets, weights))


def run(
    cell: Cell, recurrence: Recurrence, arrays: Arrays, given: Given, *, reverse: bool = False, all_states: bool = True
) -> dict[str, Any]:
    """The results of a recurrence, by name."""
    names = ("outputs", "final_state", "states")[: 3 if all_states else 2]
    options = {"lengths": given.lengths, "resets": given.resets, "reset_state": arrays.reset_state}
    initial = arrays.initial_state
    values = recurrence(cell, arrays.params, arrays.inputs, initial, reverse=reverse, all_states=all_states, **options)
    return dict(zip(names, values, strict=True))


def weighted(values: dict[str, Any], weights: dict[str, Any]) -> jax.Array:
    """The loss: the sum of all numbers times random weights; integers and bools are ignored."""
    total = jnp.zeros((), jnp.float32)
    for name, tree in values.items():
        for leaf, weight in zip(jax.tree.leaves(tree), jax.tree.leaves(weights[name]), strict=True):
            if not jnp.issubdtype(leaf.dtype, jnp.inexact):
                continue
            dtype = at_least_float32(leaf.dtype)
            if not jnp.iscomplexobj(leaf):
                weight = jnp.real(weight)
            total = total + jnp.real(leaf.astype(dtype) * jnp.asarray(weight).astype(dtype)).sum()
    return total


def gradients(cell: Cell, recurrence: Recurrence, **options: Any) -> Callable[[Arrays, Given], Any]:
    """`(arrays, given) -> (loss, values, gradients)`, with the gradients by name of the array."""

    def program(arrays: Arrays, given: Given) -> Any:
        def loss(moved: Any) -> tuple[jax.Array, Any]:
            values = run(cell, recurrence, replaced(arrays, moved), given, **options)
            return weighted(values, given.weights), values

        (total, values), found = jax.value_and_grad(loss, has_aux=True)(continuous(arrays))
        return total, values, {f"gradient of {name}": tree for name, tree in found._asdict().items()}

    return program


def without_states(given: Given) -> Given:
    """The same loss, without the states of every step."""
    return given._replace(weights={**given.weights, "states": jax.tree.map(np.zeros_like, given.weights["states"])})


def precision(subject: Subject, dtype: str) -> str:
    """The narrowest dtype in a run with this compute dtype; an array of the state may have a fixed dtype."""
    state = jax.eval_shape(functools.partial(subject.init_state, jnp.dtype(dtype)))
    real = [jnp.finfo(leaf.dtype).dtype for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return min([jnp.dtype(dtype), *real], key=lambda each: -jnp.finfo(each).eps).name


def is_zero(tree: Any) -> bool:
    """Whether all numbers of a tree are zero."""
    return not any(np.any(wide(leaf)) for leaf in jax.tree.leaves(tree))
