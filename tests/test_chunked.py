"""Chunked under JAX's transformations and with a user's own cell: its backward pass is written by hand, so that
each of them must be shown to reach it."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from reference import assert_close
from tables import (
    CELLS,
    FAST_COMPILE,
    HIDDEN,
    INPUT,
    Problem,
    assert_runs_close,
    both_ways,
    make_problem,
    run_fast,
    run_oracle,
    slow_unless,
    widened,
)

from rnnjax.cells import GRU, LSTM, Elman, IndRNN, LayerNormLSTM, PeepholeLSTM
from rnnjax.recurrences import Chunked, Recurrence, Scan
from rnnjax.recurrences.gates import reads_sum

pytestmark = pytest.mark.usefixtures("quick_compile")

CHUNKED = Chunked(3, "boundaries")
GATES = Chunked(3, "gates")

two_cells = pytest.mark.parametrize("cell", ["lstm", "gru"])

EVERYTHING = Problem(params=0, inputs=0, state=0, cotangents=0, lengths=0, resets=0)
MAPPED = {
    "everything": EVERYTHING,
    "params": Problem(params=0, inputs=None, state=None, cotangents=None),
    "inputs": EVERYTHING._replace(params=None),
}


@pytest.mark.parametrize(
    ("cell", "mapped"), [("lstm", "everything"), ("lstm", "params"), ("lstm", "inputs"), ("gru", "everything")]
)
@both_ways
def test_vmap(cell, mapped, run, close):
    axes = MAPPED[mapped]
    first, second = (make_problem(CELLS[cell], "lengths_and_resets", seed=seed) for seed in (0, 1))
    shared = first._replace(**{name: value for name, value in second._asdict().items() if getattr(axes, name) == 0})
    stacked = Problem(
        *(
            one if axis is None else jax.tree.map(lambda a, b: np.stack([a, b]), one, two)
            for one, two, axis in zip(first, shared, axes, strict=True)
        )
    )
    if close:  # `run_wide` widens what is no tracer
        run, stacked = run_fast, widened(stacked)
    with jax.enable_x64(bool(close)):
        got = jax.vmap(lambda problem: run(CELLS[cell], CHUNKED, problem), in_axes=(axes,))(stacked)
    for row, problem in enumerate((first, shared)):
        alone = jax.tree.map(lambda leaf, row=row: leaf[row], got)
        assert_runs_close(alone, run_oracle(cell, problem), **close)


@pytest.mark.parametrize(
    ("summed", "reverse"),
    slow_unless(
        lambda summed, reverse: reverse == (summed == "by_psum"),
        itertools.product(["by_transposition", "by_psum"], [False, True]),
    ),
)
def test_shard_map_over_two_devices(summed, reverse):
    problem = make_problem(LSTM(), "lengths_and_resets", batch=6)
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,))
    rows, time_rows = P("batch"), P(None, "batch")
    specs = Problem(P(), time_rows, rows, (time_rows, rows), rows, time_rows, rows)

    @functools.partial(jax.jit, compiler_options=FAST_COMPILE)
    @functools.partial(
        jax.shard_map, mesh=mesh, in_specs=(specs,), out_specs=((time_rows, rows), P(), (P(), time_rows, rows, rows))
    )
    def sharded(problem):
        params = problem.params
        if summed == "by_psum":
            # A device's own gradient of replicated parameters: nothing is summed until it is asked for.
            params = jax.lax.pcast(params, "batch", to="varying")

        def loss(params, inputs, state, reset_state):
            options = {"lengths": problem.lengths, "resets": problem.resets, "reset_state": reset_state}
            values = CHUNKED(LSTM(), params, inputs, state, reverse=reverse, **options)
            products = jax.tree.map(lambda value, weight: (value * weight).sum(), values, problem.cotangents)
            return sum(jax.tree.leaves(products)), values

        (total, values), gradients = jax.value_and_grad(loss, (0, 1, 2, 3), has_aux=True)(
            params, problem.inputs, problem.state, problem.reset_state
        )
        if summed == "by_psum":
            gradients = (jax.lax.psum(gradients[0], "batch"), *gradients[1:])
        return values, jax.lax.psum(total, "batch"), gradients

    values, total, gradients = sharded(problem)
    assert len(values[0].sharding.device_set) == 2
    want = run_oracle("lstm", problem, reverse=reverse)
    assert_runs_close((values, gradients), want)
    pairs = zip(jax.tree.leaves(want[0]), jax.tree.leaves(problem.cotangents), strict=True)
    assert_close(total, sum(np.sum(value * weight) for value, weight in pairs), "values")


@dataclasses.dataclass(frozen=True)
class Checkpointed:
    """A recurrence whose forward pass is run again in the backward pass, nothing being stored."""

    recurrence: Recurrence

    def __call__(self, cell, params, inputs, state, **options):
        return jax.checkpoint(lambda *args: self.recurrence(cell, *args, **options))(params, inputs, state)


@pytest.mark.slow
def test_arrays_split_over_devices_without_shard_map():
    problem = make_problem(LSTM(), "lengths", batch=6)
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,))
    inputs = jax.device_put(problem.inputs, jax.NamedSharding(mesh, P(None, "batch")))

    def loss(params, inputs):
        outputs, _ = CHUNKED(LSTM(), params, inputs, LSTM().init_state(6, HIDDEN))
        return (outputs**2).sum()

    gradient = jax.jit(jax.grad(loss, (0, 1)), compiler_options=FAST_COMPILE)
    got = gradient(problem.params, inputs)
    assert len(got[1].sharding.device_set) == 2
    assert_close(got, gradient(problem.params, jnp.asarray(problem.inputs)), "gradients")


def test_a_batch_of_nothing():
    state = LSTM().init_state(0, HIDDEN)
    params = jax.tree.map(jnp.asarray, make_problem(LSTM()).params)
    outputs, final = CHUNKED(LSTM(), params, jnp.zeros((8, 0, INPUT)), state)
    assert outputs.shape == (8, 0, HIDDEN)
    assert final.cell.shape == (0, HIDDEN)


@both_ways
@two_cells
def test_checkpoint(cell, run, close):
    problem = make_problem(CELLS[cell], "lengths_and_resets")
    got = run(CELLS[cell], Checkpointed(CHUNKED), problem, reverse=True)
    assert_runs_close(got, run_oracle(cell, problem, reverse=True), **close)


@pytest.mark.parametrize("wide", ["params", "inputs"])
def test_gradients_have_the_dtype_of_what_they_belong_to(wide):
    problem = make_problem(LSTM(), "lengths")
    half = {
        name: jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), getattr(problem, name))
        for name in {"params", "inputs"} - {wide}
    }
    problem = problem._replace(**half)
    _, gradients = run_fast(LSTM(), CHUNKED, problem)
    belong = (problem.params, problem.inputs, problem.state, None)
    assert jax.tree.map(lambda leaf: leaf.dtype, gradients) == jax.tree.map(lambda leaf: leaf.dtype, belong)


@dataclasses.dataclass(frozen=True)
class ReadsInputsTwice(LSTM):
    """No cell of the sum alone: the output gate sees the inputs once more."""

    def update(self, extras, inputs, recurrent, state):
        after = super().update(extras, inputs, recurrent, state)
        return after._replace(hidden=after.hidden * jnp.tanh(inputs[..., : after.hidden.shape[-1]]))


@pytest.mark.parametrize(
    ("cell", "sum_only"),
    [
        (LSTM(), True),
        (LSTM(second_bias=True), True),
        (Elman(activation="relu"), True),
        (PeepholeLSTM(), True),
        (PeepholeLSTM(second_bias=True, coupled=True), True),
        (GRU(), False),
        (LayerNormLSTM(), False),
        (IndRNN(), False),
        (ReadsInputsTwice(), False),
    ],
    ids=["lstm", "lstm_second_bias", "elman", "peephole", "coupled", "gru", "layer_norm", "indrnn", "inputs_twice"],
)
def test_whether_a_cell_reads_a_sum_only(cell, sum_only):
    problem = make_problem(cell)
    assert reads_sum(cell, problem.params, problem.state, (INPUT,)) == sum_only


@pytest.mark.parametrize(
    ("cell", "recurrence"),
    [(LSTM(second_bias=True), GATES), (ReadsInputsTwice(), CHUNKED)],
    ids=["second_bias", "inputs_twice"],
)
@both_ways
def test_both_forms_of_the_affine_maps(cell, recurrence, run, close):
    problem = make_problem(cell, "lengths_and_resets")
    got, want = (run(cell, each, problem, reverse=True) for each in (recurrence, Scan()))
    assert_runs_close(got, want, **close)


@pytest.mark.parametrize(("read", "recurrence"), [("hidden", CHUNKED), ("cell", GATES), ("outputs", CHUNKED)], ids=str)
def test_gradients_where_only_a_part_is_read_and_the_inputs_are_data(recurrence, read):
    problem = make_problem(LSTM(), "lengths_and_resets")

    @functools.partial(jax.jit, static_argnums=0, compiler_options=FAST_COMPILE)
    def gradient(recurrence, problem):
        def loss(params):
            options = {
                "lengths": problem.lengths,
                "resets": problem.resets,
                "reset_state": problem.reset_state,
            }
            outputs, final = recurrence(LSTM(), params, problem.inputs, problem.state, **options)
            return (jnp.sin(outputs if read == "outputs" else getattr(final, read)) ** 2).sum()

        return jax.grad(loss)(problem.params)

    want = gradient(Scan(), problem)
    assert all(np.abs(leaf).max() > 0.1 for leaf in jax.tree.leaves(want))
    assert_close(gradient(recurrence, problem), want, "gradients")
