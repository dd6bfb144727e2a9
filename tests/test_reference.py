"""The oracle's hand-written gradients against central differences, all in float64."""

import jax
import numpy as np
import oracles
import pytest
import reference
from tables import ORACLE_CELLS, make_problem, run_oracle

STEP = 1e-5
# Central differences err by STEP^2 and by rounding over STEP; the largest error measured: 7e-10.
DIFFERENCE_TOLERANCE = 1e-8


def loss(name, problem, reverse):
    values, _ = run_oracle(name, problem, reverse=reverse)
    pairs = zip(jax.tree.leaves(values), jax.tree.leaves(problem.cotangents), strict=True)
    return sum(np.sum(value * weight) for value, weight in pairs)


def differences(name, problem, reverse):
    """The gradients of `loss`, one number of the problem moved at a time."""
    moved = (problem.params, problem.inputs, problem.state, problem.reset_state)
    leaves, tree = jax.tree.flatten(moved)
    gradients = [np.zeros_like(leaf) for leaf in leaves]
    for leaf, gradient in zip(leaves, gradients, strict=True):
        for index in np.ndindex(leaf.shape):
            at = leaf[index]
            ends = []
            for leaf[index] in (at + STEP, at - STEP):
                params, inputs, state, reset_state = jax.tree.unflatten(tree, leaves)
                shifted = problem._replace(params=params, inputs=inputs, state=state, reset_state=reset_state)
                ends.append(loss(name, shifted, reverse))
            leaf[index] = at
            gradient[index] = (ends[0] - ends[1]) / (2 * STEP)
    return jax.tree.unflatten(tree, gradients)


# A cell's equations know of neither mode nor direction, which are the loop's.
@pytest.mark.parametrize(
    ("name", "mode", "reverse"),
    [
        ("lstm", "lengths_and_resets", False),
        # What is tested are the oracles, which change with no change of the library.
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                *((name, "lengths_and_resets", False) for name in ORACLE_CELLS if name != "lstm"),
                ("lstm", "plain", False),
                ("lstm", "plain", True),
                ("lstm", "lengths_and_resets", True),
            )
        ),
    ],
)
def test_gradients_are_those_of_central_differences(name, mode, reverse):
    problem = make_problem(ORACLE_CELLS[name], mode, time=4, batch=4, dtype=np.float64)
    _, gradients = run_oracle(name, problem, reverse=reverse)
    reference.assert_close(
        gradients, differences(name, problem, reverse), "gradients", tolerance=DIFFERENCE_TOLERANCE, kind="oracle"
    )


def test_every_cell_has_an_oracle():
    assert ORACLE_CELLS.keys() == oracles.ORACLES.keys()
