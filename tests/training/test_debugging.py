"""Which operation was the first whose result is no number."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from bag import OBJECTIVE, new_state
from toy import VOCABULARY, make_batch, make_objective

from rnnjax import RNN, Chunked, Elman, Scan, SequenceClassifier
from rnnjax.training import DivergedError, Optimizer, batch_mesh, eval_step, fit, train_step
from rnnjax.training.debugging import TracedStep, first_bad_operation
from rnnjax.training.objective import Objective


@dataclasses.dataclass(frozen=True)
class Spoilt(Elman):
    """Elman's cell with the logarithm of a negative number in it."""

    def update(self, extras, inputs, recurrent, state):
        new = super().update(extras, inputs, recurrent, state)
        return new._replace(hidden=new.hidden + 0 * jnp.log(-1 - new.hidden**2))


def toy_objective(loss):
    """An objective of a loss of parameters alone."""

    def objective(params, batch, key):
        return {
            "loss": loss(params["w"]) * batch.weights.sum(),
            "weight": batch.weights.sum(),
            "accuracy": batch.weights.sum(),
            "tokens": batch.lengths.sum(),
        }

    return objective


def line_of(words):
    """FILE:LINE of the line of this file that ends with a comment."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return f"tests/training/test_debugging.py:{next(n for n, line in enumerate(lines, 1) if line.endswith(words))}"


@pytest.mark.quick("chunked")
@pytest.mark.parametrize("recurrence", [Scan(), Chunked(3)], ids=["scan", "chunked"])
def test_it_names_the_line_in_a_cell(recurrence):
    model = SequenceClassifier(VOCABULARY, 4, RNN(Spoilt(), 8, recurrence), pooling="last")
    params = model.init(jax.random.key(0), jnp.zeros((1, 2), jnp.int32))["params"]
    batch = jax.tree.map(jnp.asarray, make_batch())
    found = first_bad_operation(make_objective(model), params, batch, jax.random.key(1))
    assert "in the backward pass" not in found
    assert "in update: return new._replace(hidden=new.hidden + 0 * jnp.log(" in found
    assert found.startswith("invalid value (nan) encountered in log, tests/training/test_debugging.py:")


def root_of(w):
    return jnp.sqrt(jnp.abs(w - 1)).sum() * 0  # at zero its derivative is infinite


def power_of(w):
    return jnp.exp(100 * w).sum()  # too large for float32


def told(loss, value=1.0):
    objective = Objective.of(toy_objective(loss))
    batch = jax.tree.map(jnp.asarray, make_batch())
    return first_bad_operation(objective, {"w": jnp.full(3, value, jnp.float32)}, batch, jax.random.key(0))


def test_it_names_the_line_of_what_fails_on_the_way_back_only():
    found = told(root_of)
    assert " in the backward pass, " in found
    assert f"{line_of('# at zero its derivative is infinite')} in root_of: return jnp.sqrt" in found


def test_it_names_the_line_of_what_becomes_infinite():
    found = told(power_of)
    assert found.startswith("invalid value (inf) encountered in exp")
    assert f"{line_of('# too large for float32')} in power_of: return jnp.exp(100 * w)" in found


@pytest.mark.slow
def test_infinities_that_a_model_masks_with_are_not_blamed():
    model = SequenceClassifier(VOCABULARY, 1, RNN(Elman(), 1, Scan()), pooling="max")
    params = model.init(jax.random.key(0), jnp.zeros((1, 2), jnp.int32))["params"]
    # Each row's loss is finite, and their sum is not.
    head = {"kernel": jnp.zeros((1, 1)), "bias": jnp.full(1, 3e38)}
    batch = jax.tree.map(jnp.asarray, make_batch(seed=1, rows=2, width=2))
    batch = batch._replace(targets=jnp.zeros(2, jnp.int32))
    found = first_bad_operation(make_objective(model), {**params, "head": head}, batch, jax.random.key(1))
    assert found.startswith("invalid value (inf) encountered in reduce_sum, rnnjax/training/objectives.py:"), found


def test_parameters_that_were_bad_before_are_named():
    assert told(power_of, math.inf) == "the parameters w were not finite before the step: an update was too large"


def test_nothing_bad_is_said_so():
    assert told(power_of, 0.0) == "every operation was finite when the step was repeated on one device"


def test_a_run_on_two_devices_tells_the_first_bad_operation_of_its_step():
    def loss(params, batch, key):
        batch = batch._replace(weights=batch.weights / (batch.targets >= 0))  # no label is negative
        return OBJECTIVE(params, batch, key)

    optimizer, mesh = Optimizer(learning_rate=1e-2).transformation(9), batch_mesh(2)
    step = TracedStep(train_step(loss, optimizer, mesh, donate=False))
    state = new_state(optimizer, step)
    batches = [make_batch(i) for i in range(6)]
    batches[3].targets[:] = -1
    batches[3].weights[:] = 0
    typed: Any = step
    with pytest.raises(DivergedError) as error:
        list(
            fit(
                *(state, typed, eval_step(loss, mesh), lambda *_: batches, lambda: batches[:1], 1),
                explain=step.explain,
            )
        )
    assert str(error.value).startswith("step 4: ")
    assert f"in div, {line_of('# no label is negative')} in loss: batch = batch._replace(" in str(error.value)
    with pytest.raises(ValueError, match="step: expected one of the last 2, got 9"):
        step.explain(9)
