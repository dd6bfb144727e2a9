"""Every recurrence gives every cell's numbers: against the float64 oracle, and at the contract's edges."""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from reference import assert_close
from tables import (
    BATCH,
    CELLS,
    CLASSICS,
    HIDDEN,
    INPUT,
    MODES,
    RECURRENCES,
    TIME,
    WIDE,
    Problem,
    assert_runs_close,
    both_ways,
    make_problem,
    run,
    run_fast,
    run_oracle,
    run_wide,
)

from rnnjax import identity
from rnnjax.cells import GRU, LSTM, Cell, Elman
from rnnjax.recurrences import Chunked, Scan, Unrolled

# bfloat16 keeps 8 bits, so that one rounding errs by up to 4e-3; largest error measured against float32: 1.9e-2.
BFLOAT16_TOLERANCE = 5e-2

directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
every_recurrence = pytest.mark.parametrize("recurrence", RECURRENCES.values(), ids=RECURRENCES.keys())
other_recurrences = pytest.mark.parametrize(
    "recurrence",
    [Unrolled(), Chunked(3, "boundaries"), Chunked(TIME, "gates")],
    ids=["unrolled", "chunked_with_tail", "chunked_gates"],
)

# Compiling is what a case costs. Lengths and resets together run for every cell and recurrence (of the two Elman
# cells, which differ in no shape, one for each recurrence); the branches for "always valid" and "never reset" where
# a recurrence has code of its own for them.
ORACLE_CASES = [
    (cell, recurrence, mode, reverse)
    for mode in MODES
    for cell in CLASSICS
    for recurrence in RECURRENCES
    for reverse in (False, True)
    if (mode == "lengths_and_resets" and (cell != "irnn" or recurrence in ("scan", "chunked_with_tail")))
    or (cell in ("lstm", "gru") and recurrence in ("scan", "chunked_with_tail"))
    or (cell == "lstm" and (recurrence == "chunked_gates" or (recurrence == "unrolled" and mode == "plain")))
]
# Of these a quick run can do without: they take code that their neighbours take too.
VARIATIONS = ("scan_by_3", "chunked_by_1", "chunked_longer_than_time")


def quick_in_float64(cell: str, recurrence: str, mode: str, reverse: bool) -> bool:
    """Each cell under each recurrence, both directions for one cell and in one mode."""
    if mode == "lengths_and_resets":
        return cell == "lstm" if recurrence in VARIATIONS else cell == "lstm" or reverse != (cell == "gru")
    return (cell == "lstm" or recurrence == "chunked_with_tail") and reverse == (mode == "lengths")


def quick_in_float32(cell: str, recurrence: str, mode: str, reverse: bool) -> bool:
    """One case of each backward pass."""
    return (cell, recurrence, mode, reverse) in [
        ("lstm", recurrence, "lengths_and_resets", True) for recurrence in ("scan", "chunked_gates")
    ]


def oracle_cases() -> Iterator[Any]:
    """In float32 as users have it each cell under each recurrence and each mode of one cell; in float64 those that a
    quick run has, or that differ in the cell."""
    for cell, recurrence, mode, reverse in ORACLE_CASES:
        case = cell, recurrence, mode, reverse
        name = f"{cell}-{recurrence}-{mode}-{'reverse' if reverse else 'forward'}"
        if reverse if mode == "lengths_and_resets" else cell == "lstm":
            yield pytest.param(
                *case, run, {}, id=f"{name}-float32", marks=() if quick_in_float32(*case) else pytest.mark.slow
            )
        quick = quick_in_float64(*case)
        if quick or (mode == "lengths_and_resets" and recurrence in ("scan", "chunked_with_tail")):
            yield pytest.param(*case, run_wide, WIDE, id=f"{name}-float64", marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize(("cell", "recurrence", "mode", "reverse", "run", "close"), oracle_cases())
def test_values_and_gradients_are_the_oracles(cell, recurrence, mode, reverse, run, close):
    problem = make_problem(CELLS[cell], mode)
    got = run(CELLS[cell], RECURRENCES[recurrence], problem, reverse=reverse)
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {np.dtype(np.float64 if close else np.float32)}
    assert_runs_close(got, run_oracle(cell, problem, reverse=reverse), **close)


@pytest.mark.parametrize("recurrence", [Scan(), Chunked(3, "gates")], ids=["scan", "chunked"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_bfloat16_stays_close_to_float32(cell, recurrence):
    problem = make_problem(CELLS[cell], "lengths_and_resets")
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16) if leaf.dtype == np.float32 else leaf, problem)
    got = run_fast(CELLS[cell], recurrence, half)
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {np.dtype(jnp.bfloat16)}
    assert_runs_close(got, run_fast(CELLS[cell], Scan(), problem), tolerance=BFLOAT16_TOLERANCE, kind="bfloat16")


@both_ways
@directions
@every_recurrence
def test_nan_in_the_padding_reaches_nothing(recurrence, reverse, run, close):
    problem = make_problem(CELLS["gru"], "lengths_and_resets")
    padded = np.arange(TIME)[:, None] >= problem.lengths
    poisoned = problem._replace(inputs=np.where(padded[..., None], np.float32(np.nan), problem.inputs))
    (outputs, final), gradients = run(CELLS["gru"], recurrence, poisoned, reverse=reverse)
    assert not np.asarray(outputs)[padded].any()
    assert not np.asarray(gradients[1])[padded].any()
    # The empty sequence: its final state is its initial one, bit for bit.
    np.testing.assert_array_equal(final.hidden[1], problem.state.hidden[1])
    assert_runs_close(((outputs, final), gradients), run_oracle("gru", problem, reverse=reverse), **close)


def part(problem, steps, state):
    outputs, final = problem.cotangents
    return problem._replace(
        inputs=problem.inputs[steps], state=state, cotangents=(outputs[steps], final), resets=None, reset_state=None
    )


@both_ways
@directions
@every_recurrence
def test_resets_equal_separate_sequences(recurrence, reverse, run, close):
    cut = 5
    problem = make_problem(CELLS["lstm"], "resets")
    # The step before which the state is put back is the first of the part that is run second.
    resets = np.zeros((TIME, BATCH), bool)
    resets[cut - 1 if reverse else cut] = True
    together, _ = run(CELLS["lstm"], recurrence, problem._replace(resets=resets), reverse=reverse)
    # Each part alone: what is run first begins from the initial state, the other one from the reset state.
    states = (problem.reset_state, problem.state) if reverse else (problem.state, problem.reset_state)
    (early, early_final), (late, late_final) = (
        run(CELLS["lstm"], Scan(), part(problem, steps, state), reverse=reverse)[0]
        for steps, state in zip((slice(0, cut), slice(cut, TIME)), states, strict=True)
    )
    want = np.concatenate([early, late]), early_final if reverse else late_final
    assert_close(together, want, "values", **close)


@both_ways
@directions
@pytest.mark.parametrize("time", [0, 1])
@other_recurrences
def test_no_step_and_one_step(recurrence, time, reverse, run, close):
    problem = make_problem(CELLS["gru"], "lengths_and_resets", time=time)
    got = run(CELLS["gru"], recurrence, problem, reverse=reverse)
    assert_runs_close(got, run_oracle("gru", problem, reverse=reverse), **close)


@both_ways
@other_recurrences
def test_what_precedes_a_reset_gets_no_gradient(recurrence, run, close):
    problem = make_problem(CELLS["lstm"], "resets")
    resets = np.zeros((TIME, BATCH), bool)
    resets[5] = True
    # Only the last output is in the loss: what comes before its reset has no part in it.
    outputs, final = jax.tree.map(np.zeros_like, problem.cotangents)
    outputs[-1] = problem.cotangents[0][-1]
    _, (_, d_inputs, d_state, d_reset) = run(
        CELLS["lstm"], recurrence, problem._replace(resets=resets, cotangents=(outputs, final))
    )
    assert not np.asarray(d_inputs)[:5].any()
    assert (np.abs(d_inputs[5:]).max((1, 2)) > 0).all()
    assert not np.asarray(d_state.cell).any()
    assert (np.abs(d_reset.cell) > 0).all()


class Mixing(Cell):
    """A cell that is not pointwise: the step normalises over the features, between two products."""

    class Params(NamedTuple):
        kernel: jax.Array
        recurrent_kernel: jax.Array
        gain: jax.Array

    class State(NamedTuple):
        hidden: jax.Array

    def init_params(self, key, input_size, hidden_size, dtype=jnp.float32) -> Any:
        keys = jax.random.split(key, 3)
        shapes: Any = ((input_size, hidden_size), (hidden_size, hidden_size), (hidden_size,))
        return self.Params(*(jax.random.normal(k, shape, dtype) for k, shape in zip(keys, shapes, strict=True)))

    def init_state(self, batch_size, hidden_size, dtype=jnp.float32):
        return self.State(jnp.zeros((batch_size, hidden_size), dtype))

    def step(self, params, inputs, state):
        mixed = jax.nn.softmax(inputs @ params.kernel + state.hidden, axis=-1)
        return self.State(jnp.tanh(params.gain * (mixed @ params.recurrent_kernel)))


@both_ways
@directions
def test_a_cell_that_mixes_features_runs_under_scan_and_unrolled(reverse, run, close):
    cell = Mixing()
    problem = make_problem(cell, "lengths_and_resets")
    scanned = run(cell, Scan(), problem, reverse=reverse)
    assert_runs_close(run(cell, Unrolled(), problem, reverse=reverse), scanned, **close)
    # The first sequence has every step: its outputs are those of the equation in NumPy.
    params, inputs, state, reset_state = jax.tree.map(
        np.float64,
        (problem.params, problem.inputs[:, 0], problem.state.hidden[0], problem.reset_state.hidden[0]),
    )
    outputs = {}
    for t in reversed(range(TIME)) if reverse else range(TIME):
        powers = np.exp(inputs[t] @ params.kernel + (reset_state if problem.resets[t, 0] else state))
        outputs[t] = state = np.tanh(params.gain * (powers / powers.sum() @ params.recurrent_kernel))
    assert_close(scanned[0][0][:, 0], np.stack([outputs[t] for t in range(TIME)]), "values", **close)


def test_chunked_wants_a_pointwise_or_a_linear_cell():
    problem = make_problem(Mixing())
    with pytest.raises(TypeError, match="expected a PointwiseCell or a LinearCell, got Mixing; use Scan or"):
        run(Mixing(), Chunked(3), problem)


WRONG_SHAPES = {
    "inputs_axes": ({"inputs": np.zeros((TIME, INPUT))}, r"inputs: expected shape \(T, B, I\), got \(8, 3\)"),
    "features": ({"inputs": np.zeros((TIME, BATCH, 7))}, r"input.kernel: expected shape \(7, 12\) .*, got \(3, 12\)"),
    "batch": ({"inputs": np.zeros((TIME, 2, INPUT))}, r"initial_state.hidden: expected shape \(2, 4\), got \(5, 4\)"),
    "hidden": ({"state": GRU().init_state(BATCH, 6)}, r"input.kernel: expected shape \(3, 18\) .*, got \(3, 12\)"),
    "lengths": ({"lengths": np.ones(BATCH + 1, int)}, r"lengths: expected shape \(5,\) of integers, got \(6,\)"),
    "lengths_dtype": ({"lengths": np.full(BATCH, 1.5)}, r"lengths: expected .* integers, got \(5,\) of float32"),
    "resets": ({"resets": np.zeros((BATCH, TIME), bool)}, r"resets: expected shape \(8, 5\), got \(5, 8\)"),
}


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(("wrong", "message"), WRONG_SHAPES.values(), ids=WRONG_SHAPES.keys())
@other_recurrences
def test_a_wrong_shape_is_named_with_what_was_expected(recurrence, wrong, message):
    problem = make_problem(GRU())._replace(**wrong)
    with pytest.raises(ValueError, match=message):
        run(GRU(), recurrence, problem)


@pytest.mark.usefixtures("without_annotation_checks")
def test_a_second_state_array_of_another_shape_is_named():
    problem = make_problem(LSTM())
    state = problem.state._replace(cell=np.zeros((BATCH, HIDDEN + 1)))
    with pytest.raises(ValueError, match=r"initial_state.cell: expected shape \(5, 4\), got \(5, 5\)"):
        Scan()(LSTM(), problem.params, problem.inputs, state)


@pytest.mark.usefixtures("without_annotation_checks")
def test_the_state_of_another_cell_is_named():
    problem = make_problem(GRU())
    with pytest.raises(ValueError, match=r"initial_state: expected .*hidden.*, got .*hidden.*cell"):
        Scan()(GRU(), problem.params, problem.inputs, LSTM().init_state(BATCH, HIDDEN))


@pytest.mark.parametrize(("recurrence", "name"), [(Scan, "unroll"), (Chunked, "size")])
@pytest.mark.parametrize("size", [0, -3])
def test_sizes_below_one_are_refused(recurrence, name, size):
    with pytest.raises(ValueError, match=f"{name}: expected at least 1, got {size}"):
        recurrence(size)


def test_equal_options_compile_once():
    traces = []

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def last(cell, recurrence, problem: Problem):
        traces.append((cell, recurrence))
        return recurrence(cell, problem.params, problem.inputs, problem.state)[0][-1]

    problem = make_problem(LSTM())
    for make in (
        lambda: (LSTM(), Scan()),
        lambda: (LSTM(), Chunked(3)),
        lambda: (LSTM(), Unrolled()),
        lambda: (LSTM(forget_bias=0.0), Scan()),
        lambda: (LSTM(recurrent_init=identity(0.5)), Scan()),
        lambda: (LSTM(), Chunked(4)),
    ):
        before = len(traces)
        assert make() == make()
        assert hash(make()) == hash(make())
        first, second = last(*make(), problem), last(*make(), problem)
        np.testing.assert_array_equal(first, second)
        assert len(traces) == before + 1
    assert Elman() != Elman(activation="relu")
    assert Chunked(3) != Chunked(4)
    assert Chunked(3, "gates") != Chunked(3, "boundaries")


def test_error_measure_sees_nan_and_missing_arrays():
    assert reference.error(np.array([1.0, np.nan]), np.ones(2)) == np.inf
    assert reference.error(np.array([3.0]), np.array([2.0])) == 0.5
    with pytest.raises(AssertionError):
        reference.error(np.ones((2, 1)), np.ones(2))
