"""NNX layers beside Linen layers of the same options and parameters, each run and differentiated in one program."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax_modules import make_problem, random_variables, swap
from tables import HIDDEN, sizes_of

import rnnjax.nnx
from rnnjax import GRU, LSTM, Chunked, Elman, HiddenState
from rnnjax.nnx import RNN, Bidirectional, StackedRNN
from rnnjax.types import features


def randomised(layer: Any, seed: int = 0) -> Any:
    """The layer with every parameter at random, in place: a bias of zero would hide one that is dropped."""
    inputs = jnp.ones((1, 1, *features(layer.input_size)))
    return rnnjax.nnx.from_linen(layer, random_variables(layer.linen, inputs, seed=seed)["params"])


def _back(run: Any, params: Any, arrays: Any) -> Any:
    """Values, and the gradients for parameters, inputs and states of a sum that weighs all values."""
    values, pullback = jax.vjp(run, params, *arrays)
    leaves, structure = jax.tree.flatten(values)
    random = np.random.default_rng(5)
    cotangents = [jnp.asarray(random.normal(size=leaf.shape), leaf.dtype) for leaf in leaves]
    return values, pullback(jax.tree.unflatten(structure, cotangents))


def linen_values(layer: Any, params: Any, inputs: Any, state: Any, reset_state: Any, flags: Any, **options: Any) -> Any:
    """The Linen layer's outputs, states and gradients."""

    def run(params: Any, inputs: Any, state: Any, reset_state: Any) -> Any:
        variables = {"params": params}
        return layer.apply(variables, inputs, state, *flags, reset_state=reset_state, all_states=True, **options)

    return _back(run, params, (inputs, state, reset_state))


def nnx_values(layer: Any, params: Any, inputs: Any, state: Any, reset_state: Any, flags: Any, **options: Any) -> Any:
    """The NNX layer's, from its graph definition; gradients as plain dicts."""

    def run(params: Any, inputs: Any, state: Any, reset_state: Any) -> Any:
        merged = nnx.merge(layer, params)
        return merged(inputs, state, *flags, reset_state=reset_state, all_states=True, **options)

    values, (d_params, *others) = _back(run, params, (inputs, state, reset_state))
    return values, (nnx.to_pure_dict(d_params), *others)


def assert_same(layer: Any, *arrays: Any, linen: Any = None, **options: Any) -> Any:
    """Asserts that values and gradients have the bits of the Linen layer's, under jit; the values."""
    definition, params = nnx.split(layer)
    run = functools.partial(jax.jit, static_argnums=0, static_argnames=("reverse",))
    got = run(nnx_values)(definition, params, *arrays, **options)
    want = run(linen_values)(linen or layer.linen, rnnjax.nnx.to_linen(layer), *arrays, **options)
    assert_equal(got, want)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(got))
    return got[0]


def programs(layer: Any, *arrays: Any) -> tuple[str, str]:
    """What the NNX and the Linen layer are compiled from."""
    definition, params = nnx.split(layer)
    got = jax.make_jaxpr(nnx_values, static_argnums=0)(definition, params, *arrays)
    want = jax.make_jaxpr(linen_values, static_argnums=0)(layer.linen, rnnjax.nnx.to_linen(layer), *arrays)
    return str(got), str(want)


def assert_equal(got: Any, want: Any) -> None:
    """Every bit."""
    assert jax.tree.structure(got) == jax.tree.structure(want)
    jax.tree.map(np.testing.assert_array_equal, got, want)


def differ(left: Any, right: Any) -> bool:
    """Whether the outputs differ by what is no rounding."""
    return bool(np.abs(np.asarray(left[0]) - np.asarray(right[0])).max() > 1e-2)


CHUNKED = Chunked(3, "boundaries")


def layer_of(cell: Any, recurrence: Any = CHUNKED, size: Any = None, inputs: Any = None, **options: Any) -> RNN:
    """An NNX layer, every parameter at random."""
    inputs, size = inputs or sizes_of(cell)[0], size or sizes_of(cell)[1]
    return randomised(RNN(cell, inputs, size, recurrence, **options, rngs=nnx.Rngs(0)))


def arguments(cell: Any, mode: str = "lengths_and_resets") -> tuple[Any, ...]:
    """Inputs, a random state and a random reset state, and (lengths, resets); lengths hold 0, 1 and T."""
    problem = make_problem(cell, mode)
    return swap(problem.inputs), problem.state, problem.reset_state, (problem.lengths, swap(problem.resets))


def two_directions(merge: Any = "concat", **options: Any) -> tuple[Bidirectional, tuple[Any, ...]]:
    """Cells of two kinds in the two directions, and the arguments of `assert_same`."""
    layer = Bidirectional(layer_of(LSTM(), **options), layer_of(GRU(), **options), merge)
    inputs, state, reset, flags = arguments(LSTM())
    _, other, other_reset, _ = arguments(GRU())
    return randomised(layer), (inputs, (state, other), (reset, other_reset), flags)


def stack(**options: Any) -> tuple[StackedRNN, tuple[Any, ...]]:
    """A Bidirectional layer, and one that reads and gives what it gives."""
    both, (inputs, states, resets, flags) = two_directions()
    layer = StackedRNN([both, layer_of(Elman(), inputs=2 * HIDDEN, size=2 * HIDDEN)], **options)
    wide = [HiddenState(jnp.concatenate([one[0].hidden, one[1].hidden + 1], -1)) for one in (states, resets)]
    return randomised(layer), (inputs, (states, wide[0]), (resets, wide[1]), flags)
