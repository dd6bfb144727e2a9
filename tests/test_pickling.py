"""What is sent to another process is equal there: cells, recurrences and layers."""

import copy
import importlib
import importlib.util
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import apply
from linear_cells import LINEAR_CELLS
from tables import BATCH, CELLS, HIDDEN, INPUT, LSTM_VARIANTS, TIME, make_problem, sizes_of

from rnnjax import RNN, Bidirectional, RecurrentBlock, StackedRNN, identity, uniform
from rnnjax.cells import GRU, LSTM, Cell, Elman, IndRNN, PeepholeLSTM
from rnnjax.initializers import glorot_uniform, orthogonal, small_normal, zeros
from rnnjax.recurrences import Associative, Chunked, Newton, Scan, Unrolled

pytestmark = pytest.mark.usefixtures("quick_compile")

KEY = jax.random.key(3)

STARTED_OTHERWISE: dict[str, Cell] = {
    "uniform": LSTM(kernel_init=uniform(-0.5, 0.5), bias_init=uniform(0.0, 1.0)),
    "identity": GRU(recurrent_init=identity(0.5)),
    "long_memory": IndRNN(recurrent_init=uniform(0.9, 2 ** (1 / 10))),
    "peephole": PeepholeLSTM(peephole_init=uniform(-1.0, 1.0), forget_bias=2.0),
    "normal_and_zeros": Elman(kernel_init=small_normal, recurrent_init=zeros, activation="sigmoid"),
    "swapped": Elman(kernel_init=orthogonal, recurrent_init=glorot_uniform),
}
ALL: dict[str, Cell] = CELLS | LSTM_VARIANTS | STARTED_OTHERWISE | LINEAR_CELLS


def sent_by_ray(value: Any) -> Any:
    """A copy as Ray makes it for a task."""
    cloudpickle: Any = importlib.import_module("ray.cloudpickle")
    return cloudpickle.loads(cloudpickle.dumps(value))


PICKLER: Any = ForkingPickler  # whose `loads` has no annotation
COPIES: dict[str, Callable[[Any], Any]] = {
    # The pickle of the standard library, as what is sent to another process goes through it.
    "multiprocessing": lambda value: PICKLER.loads(PICKLER.dumps(value)),
    "ray": sent_by_ray,
    "deepcopy": copy.deepcopy,
}
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install 'rnnjax[ray]'"
)
every_copy = pytest.mark.parametrize(
    "copied", [pytest.param(copy, id=name, marks=[needs_ray] if name == "ray" else []) for name, copy in COPIES.items()]
)


def copies_of(cases: Any, quick: Callable[[Any], bool]) -> Any:
    """Each case with each kind of copy; but for the standard library's a quick run has those of a few cases."""
    return pytest.mark.parametrize(
        ("case", "copied"),
        [
            pytest.param(
                case,
                copied,
                marks=[
                    *([needs_ray] if copied == "ray" else []),
                    *([] if copied == "multiprocessing" or quick(case) else [pytest.mark.slow]),
                ],
            )
            for case in cases
            for copied in COPIES
        ],
    )


@copies_of(ALL, lambda name: name in ("lstm", "uniform"))
def test_a_copied_cell_is_equal_and_draws_the_same_parameters(case, copied):
    cell = ALL[case]
    other = COPIES[copied](cell)
    assert other is not cell
    assert other == cell
    assert hash(other) == hash(cell)
    assert repr(other) == repr(cell)
    assert [name for name, each in ALL.items() if each == other] == [case]
    want = cell.init_params(KEY, *sizes_of(cell))
    jax.tree.map(np.testing.assert_array_equal, other.init_params(KEY, *sizes_of(cell)), want)


@every_copy
@pytest.mark.parametrize("name", ["lstm", "irnn", "peephole_lstm", "long_memory"])
def test_a_copied_cell_compiles_nothing_anew(name, copied):
    cell, problem, traced = ALL[name], make_problem(ALL[name]), []

    def step(cell: Cell, *arguments: Any) -> Any:
        traced.append(cell)
        return cell.step(*arguments)

    compiled = jax.jit(step, static_argnums=0)
    arguments = jax.tree.map(jnp.asarray, (problem.params, problem.inputs[0], problem.state))
    want, got = (compiled(each, *arguments) for each in (cell, copied(cell)))
    assert len(traced) == 1
    jax.tree.map(np.testing.assert_array_equal, got, want)


@pytest.mark.parametrize(
    ("init", "want"),
    [
        (glorot_uniform, jax.nn.initializers.glorot_uniform()),
        (orthogonal, jax.nn.initializers.orthogonal()),
        (small_normal, jax.nn.initializers.normal(0.1)),
        (zeros, jax.nn.initializers.zeros),
        (uniform(-0.5, 2.0), lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -0.5, 2.0)),
        (identity(0.5), lambda key, shape, dtype: 0.5 * jnp.eye(*shape, dtype=dtype)),
    ],
    ids=["glorot_uniform", "orthogonal", "small_normal", "zeros", "uniform", "identity"],
)
def test_an_initialiser_draws_jaxs_numbers(init, want):
    np.testing.assert_array_equal(init(KEY, (7, 7), jnp.float32), want(KEY, (7, 7), jnp.float32))


def test_initialisers_of_other_numbers_are_others():
    kinds = [glorot_uniform, orthogonal, small_normal, zeros]
    kinds += [uniform(0.0, 1.0), uniform(0.0, 2.0), uniform(-1.0, 1.0), identity(), identity(0.5)]
    assert all((one == other) == (i == j) for i, one in enumerate(kinds) for j, other in enumerate(kinds))
    assert uniform(0.0, 2.0) == uniform(0.0, 2.0)
    assert identity(0.5) == identity(0.5)


@every_copy
@pytest.mark.parametrize(
    "recurrence",
    [
        *(Scan(), Scan(3), Unrolled(), Chunked(), Chunked(3, "gates"), Chunked(3, "boundaries"), Associative()),
        *(Newton(), Newton(method="diagonal", damping=0.5)),
    ],
    ids=repr,
)
def test_a_copied_recurrence_is_equal(recurrence, copied):
    other = copied(recurrence)
    assert other == recurrence
    assert hash(other) == hash(recurrence)
    assert other != Scan(2)


LAYERS: dict[str, Any] = {
    "rnn": RNN(LSTM(), 4),
    "options": RNN(GRU(), HIDDEN, Scan(3), reverse=True, zoneout={"hidden": 0.1}, dtype=jnp.bfloat16),
    "bidirectional": Bidirectional(RNN(LSTM(), 4), RNN(IndRNN(), 4, Chunked(3, "gates")), merge="sum"),
    "stacked": StackedRNN([RNN(Elman(), 4), RNN(GRU(), 3)]),
    "block": RecurrentBlock(RNN(LINEAR_CELLS["lru"], 4, Associative()), norm="rms"),
}


@copies_of(LAYERS, lambda name: name == "options")
def test_a_copied_layer_is_equal_and_computes_the_same(case, copied):
    layer = LAYERS[case]
    other = COPIES[copied](layer)
    assert other == layer
    assert hash(other) == hash(layer)
    inputs = jnp.asarray(make_problem(LSTM()).inputs).swapaxes(0, 1)
    assert inputs.shape == (BATCH, TIME, INPUT)
    variables = layer.init(KEY, inputs)
    jax.tree.map(np.testing.assert_array_equal, other.init(KEY, inputs), variables)
    compiled: Any = apply
    want, before = compiled(layer, variables, inputs), compiled._cache_size()
    got = compiled(other, variables, inputs)
    assert compiled._cache_size() == before
    jax.tree.map(np.testing.assert_array_equal, got, want)
