"""A carried state is what a sequence is entered with; the initial one is what resets put back."""

import functools

import jax
import numpy as np
import pytest
from reference import assert_close
from tables import BATCH, CELLS, TIME, make_problem, run

from rnnjax.recurrences import Chunked, Scan, Unrolled


@functools.partial(jax.jit, static_argnums=(0, 1))
def run_carried(recurrence, reverse, problem, carried):
    """Values, and gradients of parameters, inputs, initial and carried state."""

    def total(params, inputs, state, carried):
        options = {"lengths": problem.lengths, "resets": problem.resets, "reverse": reverse, "carried": carried}
        values = recurrence(CELLS["lstm"], params, inputs, state, **options)
        parts = jax.tree.map(lambda leaf, weight: (leaf * weight).sum(), values, problem.cotangents)
        return sum(jax.tree.leaves(parts)), values

    gradient = jax.grad(total, (0, 1, 2, 3), has_aux=True)
    gradients, values = gradient(problem.params, problem.inputs, problem.state, carried)
    return values, gradients


@pytest.mark.parametrize(
    ("recurrence", "reverse"),
    [(Unrolled(), False), (Chunked(3, "boundaries"), True), (Chunked(3, "gates"), False)],
    ids=["unrolled", "chunked_with_tail_reverse", "chunked_gates"],
)
def test_a_carried_state_is_entered_with_and_resets_put_the_initial_one_back(recurrence, reverse):
    problem = make_problem(CELLS["lstm"], "lengths_and_resets")
    carried = jax.tree.map(lambda leaf: 1 - 2 * leaf, problem.state)
    got, gradients = run_carried(recurrence, reverse, problem, carried)
    # Until its first reset a sequence is one whose initial state is the carried one.
    plain, entered = (
        run(CELLS["lstm"], Scan(), problem._replace(state=state, resets=resets), reverse=reverse)[0]
        for state, resets in ((problem.state, problem.resets), (carried, None))
    )
    resets = problem.resets & (np.arange(TIME)[:, None] < problem.lengths)
    seen = np.cumsum(resets[::-1] if reverse else resets, axis=0) > 0
    ever = seen[-1]
    outputs = np.where((seen[::-1] if reverse else seen)[..., None], plain[0], entered[0])
    final = jax.tree.map(lambda one, other: np.where(ever[:, None], one, other), plain[1], entered[1])
    assert 0 < ever.sum() < BATCH
    assert_close(got, (outputs, final), "values")
    assert_close(gradients, run_carried(Scan(), reverse, problem, carried)[1], "gradients")
    # The initial state has a gradient where it is put back.
    assert (np.abs(gradients[2].cell).max(axis=1) > 0).tolist() == ever.tolist()
