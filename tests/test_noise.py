"""Noise: every recurrence masks and holds the state as the float64 oracle does, values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from tables import (
    BATCH,
    CELLS,
    HIDDEN,
    TIME,
    assert_runs_close,
    both_ways,
    make_problem,
    run_fast,
    run_oracle,
)
from test_recurrences import Mixing

from rnnjax.cells import GRU, LSTM
from rnnjax.recurrences import Chunked, Noise, Scan, Unrolled

pytestmark = pytest.mark.usefixtures("quick_compile")

RECURRENCES = {
    "scan": Scan(),
    "unrolled": Unrolled(),
    "boundaries": Chunked(3, "boundaries"),
    "gates": Chunked(3, "gates"),
}
# Compiling is what a case costs. Only the LSTM and the GRU differ in what the recurrences do for them.
CASES = [
    ("lstm", "scan", False),
    ("lstm", "unrolled", True),
    ("lstm", "boundaries", True),
    ("lstm", "gates", False),
    ("gru", "boundaries", False),
    ("gru", "gates", True),
    ("elman", "boundaries", True),
]


def noise_of(state, time=TIME, *, kinds=("mask", "hold"), seed=0):
    """A mask, a bool at every step for `hidden`, and for what else the state has one number at all steps."""
    random = np.random.default_rng(seed)
    mask = random.choice([0.0, 2.0], state.hidden.shape).astype(np.float32)
    hold = {name: np.float32(0.3) for name in state._fields} | {
        "hidden": random.random((time, *state.hidden.shape)) < 0.4
    }
    return Noise(mask if "mask" in kinds else None, hold if "hold" in kinds else None)


def noisy_problem(cell, mode="lengths_and_resets", *, kinds=("mask", "hold"), time=TIME, **options):
    problem = make_problem(cell, mode, time=time, **options)
    return problem._replace(noise=noise_of(problem.state, time, kinds=kinds))


@both_ways
@pytest.mark.parametrize(("cell", "recurrence", "reverse"), CASES)
def test_values_and_gradients_are_the_oracles(cell, recurrence, reverse, run, close):
    problem = noisy_problem(CELLS[cell])
    got = run(CELLS[cell], RECURRENCES[recurrence], problem, reverse=reverse)
    assert_runs_close(got, run_oracle(cell, problem, reverse=reverse), **close)


@both_ways
@pytest.mark.parametrize("kind", ["mask", "hold"])
def test_each_alone_without_lengths_and_resets(kind, run, close):
    problem = noisy_problem(LSTM(), "plain", kinds=(kind,))
    assert_runs_close(run(LSTM(), RECURRENCES["boundaries"], problem), run_oracle("lstm", problem), **close)


@both_ways
@pytest.mark.parametrize("time", [0, 1])
def test_no_step_and_one_step(time, run, close):
    problem = noisy_problem(GRU(), time=time)
    assert_runs_close(run(GRU(), RECURRENCES["gates"], problem), run_oracle("gru", problem), **close)


def test_gradients_are_finite_differences():
    problem = noisy_problem(LSTM(), time=4, batch=3, dtype=np.float64)

    def loss(params, inputs, state):
        outputs, final = RECURRENCES["boundaries"](
            LSTM(), params, inputs, state, lengths=problem.lengths, resets=problem.resets, noise=problem.noise
        )
        return jnp.sum(jnp.sin(outputs) * problem.cotangents[0]) + jnp.sum(final.cell**2)

    with jax.enable_x64(True):
        problem = jax.tree.map(jnp.asarray, problem)
        check_grads(
            jax.jit(loss), (problem.params, problem.inputs, problem.state), order=1, modes=["rev"], atol=1e-6, rtol=1e-6
        )


@pytest.mark.parametrize("recurrence", ["scan", "gates"])
def test_no_gradient_flows_to_the_noise(recurrence):
    problem = jax.tree.map(jnp.asarray, make_problem(LSTM()))

    def last(share, mask):
        noise = Noise(mask, {"cell": share})
        return RECURRENCES[recurrence](LSTM(), problem.params, problem.inputs, problem.state, noise=noise)[0].sum()

    d_share, d_mask = jax.grad(last, (0, 1))(jnp.float32(0.3), 2 * jnp.ones((BATCH, HIDDEN)))
    assert d_share == 0
    assert not d_mask.any()


def test_a_cell_that_is_not_pointwise_is_held_and_not_masked():
    problem = make_problem(Mixing())
    kept = np.random.default_rng(0).random((TIME, BATCH, HIDDEN)) < 0.4
    (outputs, _), _ = run_fast(Mixing(), Scan(), problem._replace(noise=Noise(hold={"hidden": kept})))
    (want, _), _ = run_fast(Mixing(), Scan(), problem)
    np.testing.assert_array_equal(outputs[0][kept[0]], problem.state.hidden[kept[0]])
    np.testing.assert_allclose(outputs[0][~kept[0]], want[0][~kept[0]], rtol=1e-5)
    np.testing.assert_array_equal(outputs[1:][kept[1:]], outputs[:-1][kept[1:]])
    with pytest.raises(TypeError, match="hidden_mask: expected a PointwiseCell, got Mixing"):
        run_fast(Mixing(), Scan(), problem._replace(noise=Noise(jnp.ones((BATCH, HIDDEN)))))


NO_MAP = GRU(recurrent_map=None)


WRONG = {
    "mask": (Noise(jnp.ones((BATCH, 1))), r"hidden_mask: expected shape \(5, 4\), got \(5, 1\)"),
    "hold": (
        Noise(hold={"hidden": jnp.ones((BATCH, HIDDEN))}),
        r"hold of hidden: expected one number or shape \(8, 5, 4\), got \(5, 4\)",
    ),
    "field": (Noise(hold={"cell": 0.1}), r"hold: expected state fields of \('hidden',\), got \['cell'\]"),
}


@pytest.mark.parametrize(("noise", "message"), WRONG.values(), ids=WRONG)
def test_noise_that_does_not_fit_is_named(noise, message):
    problem = jax.tree.map(jnp.asarray, make_problem(GRU()))
    with pytest.raises(ValueError, match=message):
        Scan()(GRU(), problem.params, problem.inputs, problem.state, noise=noise)


def test_a_mask_wants_a_recurrent_map():
    problem = jax.tree.map(jnp.asarray, make_problem(NO_MAP))
    with pytest.raises(ValueError, match="hidden_mask: expected a cell with a recurrent map, got GRU"):
        Scan()(NO_MAP, problem.params, problem.inputs, problem.state, noise=Noise(jnp.ones((BATCH, HIDDEN))))
