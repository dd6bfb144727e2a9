"""What a compiled step takes: any tree of arrays, and a program of its own for each structure, shapes and dtypes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rnnjax.training import Objective, TrainState, batch_mesh, eval_step, train_step

RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(4, 3)).astype(np.float32)
LABELS = RANDOM.normal(size=4).astype(np.float32)
WEIGHTS = RANDOM.random(4).astype(np.float32)
KERNEL = RANDOM.normal(size=3).astype(np.float32)
# Largest error measured: 1.2e-7 for float32.
RELATIVE_TOLERANCE = 1e-6


class Pairs(NamedTuple):
    inputs: Any
    labels: Any
    weights: Any
    extra: Any = None


def squares(params, batch, key):
    """Squared differences; labels `(B,)` or `(B, K)`. Whatever integers come along are counted."""
    inputs, labels, weights, *extra = jax.tree.leaves(batch)
    difference = (inputs @ params).reshape(-1, *[1] * (labels.ndim - 1)) - labels
    loss = (difference**2).reshape(len(labels), -1).sum(axis=1) * weights
    return {"loss": loss.sum(), "weight": weights.sum(), "extra": sum(leaf.sum() for leaf in extra)}


def expected(params, batch):
    """The loss, in NumPy."""
    inputs, labels, weights, *_ = (np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(batch))
    difference = (inputs @ np.asarray(params, np.float64)).reshape(-1, *[1] * (labels.ndim - 1)) - labels
    return ((difference**2).reshape(len(labels), -1).sum(axis=1) * weights).sum()


STRUCTURES = {
    "named": Pairs(INPUTS, LABELS, WEIGHTS),
    "dict": {"a": INPUTS, "b": LABELS, "c": WEIGHTS},
    "tuple": (INPUTS, LABELS, WEIGHTS),
    "nested": ({"x": INPUTS}, [LABELS, WEIGHTS]),
    "with None": Pairs(INPUTS, LABELS, WEIGHTS)._replace(extra={"nothing": None}),
}


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("batch", STRUCTURES.values(), ids=STRUCTURES.keys())
def test_a_batch_is_any_tree_of_arrays(batch, devices):
    mesh = batch_mesh(devices)
    evaluation, step = eval_step(squares, mesh), train_step(squares, optax.sgd(0.5), mesh)
    want = expected(KERNEL, batch)
    np.testing.assert_allclose(evaluation(KERNEL, batch)["loss"], want, rtol=RELATIVE_TOLERANCE)
    state = TrainState.create(jnp.asarray(KERNEL), optax.sgd(0.5), jax.random.key(0))
    state, sums = step(step.replicate(state), batch)
    np.testing.assert_allclose(sums["loss"], want, rtol=RELATIVE_TOLERANCE)
    slope = 2 * ((INPUTS @ KERNEL - LABELS) * WEIGHTS) @ INPUTS / WEIGHTS.sum()
    np.testing.assert_allclose(state.params, KERNEL - 0.5 * slope, rtol=RELATIVE_TOLERANCE)
    assert step.put(placed := step.put(batch)) is placed


# What may change from batch to batch while the inputs' shape stays.
BATCHES = {
    "first": Pairs(INPUTS, LABELS, WEIGHTS),
    "labels' shape": Pairs(INPUTS, RANDOM.normal(size=(4, 2)).astype(np.float32), WEIGHTS),
    "labels' dtype": Pairs(INPUTS, RANDOM.integers(0, 3, 4), WEIGHTS),
    "half weights": Pairs(INPUTS, LABELS, WEIGHTS.astype(np.float16)),
    "one array more": Pairs(INPUTS, LABELS, WEIGHTS, np.arange(4)),
    "another structure": (INPUTS, LABELS, WEIGHTS),
}


def test_each_structure_shape_and_dtype_of_a_batch_has_a_program_of_its_own():
    step = eval_step(squares, batch_mesh(2))
    for _ in range(2):
        for batch in BATCHES.values():
            np.testing.assert_allclose(step(KERNEL, batch)["loss"], expected(KERNEL, batch), rtol=RELATIVE_TOLERANCE)
    assert step.compilations == len(BATCHES)
    # The dtype of what is summed tells whether the program was made for it.
    assert step(KERNEL, BATCHES["one array more"])["extra"] == 6


def test_each_shape_and_dtype_of_what_is_carried_has_a_program_of_its_own():
    def sums(params, batch, key, carry):
        return squares(params, batch, key), jax.tree.map(lambda leaf: leaf + 1, carry)

    step, batch = eval_step(Objective(sums, carries=True), batch_mesh(2)), BATCHES["first"]
    params = {"float32": KERNEL, "float16": KERNEL.astype(np.float16)}
    carries = {"narrow": np.ones(4, np.float32), "wide": np.ones((4, 3), np.float32), "integer": np.ones(4, np.int32)}
    for _ in range(2):
        for kernel in params.values():
            for carry in carries.values():
                after, found = step((kernel, step.split(carry)), batch)
                np.testing.assert_allclose(found["loss"], expected(kernel, batch), rtol=RELATIVE_TOLERANCE)
                assert (after.shape, after.dtype) == (carry.shape, carry.dtype)
                assert (np.asarray(after) == 2).all()
    assert step.compilations == 6


def test_one_program_serves_arrays_made_from_python_numbers_too():
    step = train_step(squares, optax.sgd(0.5), batch_mesh(1))
    weak = jnp.full(3, 0.5)
    assert weak.weak_type
    state = step.replicate(TrainState.create(weak, optax.sgd(0.5), jax.random.key(0)))
    for _ in range(3):
        want = expected(state.params, BATCHES["first"])
        state, sums = step(state, BATCHES["first"])
        np.testing.assert_allclose(sums["loss"], want, rtol=RELATIVE_TOLERANCE)
        assert not state.params.weak_type
    assert step.compilations == 1


WRONG = {
    "rows": ({"a": INPUTS[:3], "b": LABELS[:3]}, "batch size: expected a multiple of 2 devices, got 3"),
    "one row less": (Pairs(INPUTS, LABELS[:3], WEIGHTS), "batch.labels: expected 4 rows, those of batch.inputs, got 3"),
    "in a dict": ({"a": INPUTS, "b": LABELS[:2]}, r"batch\['b'\]: expected 4 rows, those of batch\['a'\], got 2"),
    "a number": ((INPUTS, np.float32(1)), r"batch\[1\]: expected a first axis of rows, got a single number"),
    "nothing": ({}, "batch: expected at least one array, got none"),
}


@pytest.mark.parametrize(("batch", "message"), WRONG.values(), ids=WRONG.keys())
def test_rows_that_do_not_fit_are_named(batch, message):
    step = eval_step(squares, batch_mesh(2))
    with pytest.raises(ValueError, match=message):
        step.put(batch)
    with pytest.raises(ValueError, match=message):
        step(KERNEL, batch)
