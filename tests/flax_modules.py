"""Flax modules under test: variables at random, and one compiled call that every test shares."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import tables
from tables import FAST_COMPILE as FAST_COMPILE

from rnnjax.layers.parameters import as_dicts


def random_variables(module: nn.Module, *args: Any, seed: int = 0) -> Any:
    """Variables as `init` lays them out, every number at random: a bias of zero would hide one that is dropped."""
    random = np.random.default_rng(seed)
    shapes = jax.eval_shape(module.init, jax.random.key(0), *args)
    return jax.tree.map(lambda leaf: jnp.asarray(0.5 * random.normal(size=leaf.shape), leaf.dtype), shapes)


@functools.partial(
    jax.jit, static_argnums=0, static_argnames=("reverse", "deterministic", "all_states"), compiler_options=FAST_COMPILE
)
def apply(module: nn.Module, variables: Any, *args: Any, **options: Any) -> Any:
    """`module.apply`, compiled once for equal modules and shapes."""
    return module.apply(variables, *args, **options)


def make_problem(*args, **options):
    """A table's problem as JAX arrays."""
    return jax.tree.map(jnp.asarray, tables.make_problem(*args, **options))


def swap(array: Any) -> Any:
    """Time-major to batch-major, or back."""
    return None if array is None else jnp.swapaxes(array, 0, 1)


def variables_of(problem):
    """A table's problem as an RNN's variables."""
    return {"params": {"cell": as_dicts(problem.params)}}


def random_like(tree: Any, seed: int) -> Any:
    """Arrays of these shapes and dtypes, every number at random."""
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(random.normal(size=leaf.shape), leaf.dtype), tree)
