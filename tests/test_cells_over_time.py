"""The cells further than the classics, and the variants of the LSTM, under the recurrences: the oracle's numbers.

In float64, where a wrong term cannot hide in rounding, and compiled quickly: what is optimised is the same for every
cell, and tested with the classics in `test_recurrences.py`.
"""

import functools

import jax
import numpy as np
import pytest
from reference import assert_close
from tables import (
    BATCH,
    CELLS,
    CLASSICS,
    FAST_COMPILE,
    HIDDEN,
    INPUT,
    LSTM_VARIANTS,
    OPTIONS,
    ORACLE_CELLS,
    RECURRENCES,
    TIME,
    WIDE,
    assert_runs_close,
    make_problem,
    run_inside,
    run_oracle,
    run_wide,
    slow_unless,
)

from rnnjax import RNN, Bidirectional, Chunked, IndRNN, LayerNormLSTM, PeepholeLSTM, Scan, StackedRNN

pytestmark = pytest.mark.usefixtures("quick_compile")

CASES = [
    *(
        (cell, recurrence, reverse)
        for cell in CELLS
        if cell not in CLASSICS
        for recurrence, reverse in (
            ("scan", True),
            ("unrolled", False),
            ("chunked_with_tail", True),
            ("chunked_gates", False),
        )
    ),
    *(
        (cell, recurrence, reverse)
        for cell in LSTM_VARIANTS | OPTIONS
        for recurrence, reverse in (("scan", False), ("chunked_with_tail", True))
    ),
]


def is_chunked(name, recurrence, reverse):
    """What has code of its own for a cell: any loop does for the others."""
    return recurrence in ("chunked_with_tail", "chunked_gates")


@pytest.mark.parametrize(("name", "recurrence", "reverse"), slow_unless(is_chunked, CASES))
def test_values_and_gradients_are_the_oracles(name, recurrence, reverse):
    cell = ORACLE_CELLS[name]
    time = TIME // 2 if recurrence == "unrolled" else TIME  # the size of its graph
    problem = make_problem(cell, "lengths_and_resets", time=time, dtype=np.float64, seed=1)
    got = run_wide(cell, RECURRENCES[recurrence], problem, reverse=reverse)
    want = run_oracle(name, problem, reverse=reverse)
    assert all(np.abs(leaf).max() > 1e-2 for leaf in jax.tree.leaves(want))
    assert_runs_close(got, want, **WIDE)


# The backward pass for a sum of both maps, for each map alone with features mixed, and for no recurrent map. A size
# that leaves no rest compiles in half the time.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    slow_unless(
        lambda name, size: name != "layer_norm_lstm",
        [("lstm", 3), ("layer_norm_lstm", TIME // 2), ("indrnn", TIME // 2)],
    ),
)
def test_second_derivatives_of_chunked_are_those_of_scan(name, size):
    cell = CELLS[name]
    problem = make_problem(cell, "lengths_and_resets", dtype=np.float64)

    @functools.partial(jax.jit, static_argnums=0, compiler_options=FAST_COMPILE)
    def gradient_of_squared_gradients(recurrence, problem):
        def squares(params, inputs, state, cotangents):
            moved = problem._replace(params=params, inputs=inputs, state=state, cotangents=cotangents)
            _, gradients = run_inside(cell, recurrence, moved, reverse=True)
            return sum((leaf**2).sum() for leaf in jax.tree.leaves(gradients))

        return jax.grad(squares, (0, 1, 2, 3))(problem.params, problem.inputs, problem.state, problem.cotangents)

    with jax.enable_x64(True):
        got, want = (gradient_of_squared_gradients(each, problem) for each in (Chunked(size, "boundaries"), Scan()))
    assert all(np.abs(leaf).max() > 0.1 for leaf in jax.tree.leaves(want))
    assert_close(got, want, "second derivatives", **WIDE)


def test_layers_of_them_are_the_same_under_both_recurrences():
    def stack(recurrence):
        both = Bidirectional(
            RNN(PeepholeLSTM(coupled=True), HIDDEN, recurrence), RNN(IndRNN(), HIDDEN, recurrence), "sum"
        )
        return StackedRNN((both, RNN(LayerNormLSTM(), HIDDEN, recurrence)))

    inputs = jax.random.normal(jax.random.key(0), (BATCH, 8, INPUT))
    lengths = np.array([8, 0, 1, 5, 7])
    variables = stack(Scan()).init(jax.random.key(1), inputs)
    got, want = (jax.jit(stack(each).apply)(variables, inputs, lengths=lengths) for each in (Chunked(3), Scan()))
    assert np.abs(want[0]).max() > 0.1
    assert_close(got, want, "values")
