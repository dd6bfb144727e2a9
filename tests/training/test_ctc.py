"""CTC against every path of a short sequence, enumerated in float64, and its decoding against itertools."""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import assert_close

from rnnjax import GRU, RNN, Bidirectional, Scan, SequenceTagger
from rnnjax.data import PairBatch
from rnnjax.training import ctc, ctc_decode

RANDOM = np.random.default_rng(0)
STEPS, CLASSES, WIDTH = 5, 4, 4
# (steps, labels): every length from 0 to T, no label, equal neighbours that just fit, and rows that cannot fit.
FIT = [(5, (1, 2)), (5, (1, 1, 2)), (5, (2, 3, 1, 2)), (3, (1, 1)), (1, (3,)), (4, ()), (0, ()), (2, (2,))]
MISFIT = [(0, (1,)), (2, (1, 1)), (2, (1, 2, 3)), (5, (1, 1, 1, 1))]
LOGITS = jnp.asarray(2 * RANDOM.normal(size=(len(FIT + MISFIT), STEPS, CLASSES)), jnp.float32)


def collapsed(path, blank):
    """Repeats merged, then blanks dropped."""
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def loss_by_hand(logits, steps, labels, blank=0):
    """Of all paths whatever, those that collapse to the labels."""
    powers = np.exp(np.asarray(logits, np.float64))
    shares = powers / powers.sum(axis=-1, keepdims=True)
    paths = itertools.product(range(CLASSES), repeat=steps)
    return -np.log(
        sum(
            np.prod([shares[t, label] for t, label in enumerate(path)])
            for path in paths
            if collapsed(path, blank) == labels
        )
    )


def batch_of(rows, weights=None, width=WIDTH, blank=0):
    targets = np.full((len(rows), width), blank, np.int32)
    for b, (_, labels) in enumerate(rows):
        targets[b, : len(labels)] = labels
    return PairBatch(
        np.zeros((len(rows), STEPS, 2), np.float32),
        np.array([steps for steps, _ in rows], np.int32),
        targets,
        np.array([len(labels) for _, labels in rows], np.int32),
        np.ones(len(rows), np.float32) if weights is None else np.asarray(weights, np.float32),
        np.arange(len(rows), dtype=np.int32),
    )


@functools.partial(jax.jit, static_argnames="blank")
def sums_of(logits, batch, blank=0):
    return ctc(lambda params, *_, **__: params, blank)(logits, batch, None)


def relabelled(rows, blank):
    """The same rows where another class is the blank: 0 and it change places."""
    swap = {0: blank, blank: 0}
    return [(steps, tuple(swap.get(label, label) for label in labels)) for steps, labels in rows]


@pytest.mark.parametrize("blank", [0, 3])
def test_the_loss_is_that_of_all_paths_that_collapse_to_the_labels(blank):
    rows = relabelled(FIT, blank)
    want = [loss_by_hand(LOGITS[b], *row, blank) for b, row in enumerate(rows)]
    assert want[6] == 0
    for b, row in enumerate(rows):
        sums = sums_of(LOGITS[b : b + 1], batch_of([row], blank=blank), blank)
        assert_close(sums["loss"], want[b], "values")
    weights = RANDOM.random(len(rows))
    sums = sums_of(LOGITS[: len(rows)], batch_of(rows, weights, blank=blank), blank)
    np.testing.assert_allclose(sums["loss"], np.dot(weights, want), rtol=1e-6)
    np.testing.assert_allclose(sums["weight"], weights.sum(), rtol=1e-6)
    assert int(sums["tokens"]) == sum(steps for steps, _ in rows)
    assert float(sums["unaligned"]) == 0


def test_labels_that_do_not_fit_count_as_unaligned_and_nowhere_else():
    weights = np.array([1] * len(FIT) + [1, 2, 0, 1])
    whole, alone = sums_of(LOGITS, batch_of(FIT + MISFIT, weights)), sums_of(LOGITS[: len(FIT)], batch_of(FIT))
    assert float(whole.pop("unaligned")) == 4
    assert float(alone.pop("unaligned")) == 0
    whole["tokens"] -= sum(steps for steps, _ in MISFIT)
    assert_close(whole, alone, "values")
    assert_close(
        jax.grad(lambda logits: sums_of(logits, batch_of(FIT + MISFIT, weights))["loss"])(LOGITS)[: len(FIT)],
        jax.grad(lambda logits: sums_of(logits, batch_of(FIT))["loss"])(LOGITS[: len(FIT)]),
        "gradients",
    )


def test_gradients_are_the_differences_of_the_enumerated_losses_and_zero_past_each_length():
    gradient = np.asarray(jax.grad(lambda logits: sums_of(logits, batch_of(FIT + MISFIT))["loss"])(LOGITS))
    direction = RANDOM.normal(size=LOGITS.shape)
    small, exact = 1e-5, np.asarray(LOGITS, np.float64)
    for b, row in enumerate(FIT):
        up, down = (loss_by_hand(exact[b] + sign * small * direction[b], *row) for sign in (1, -1))
        assert_close(np.vdot(gradient[b], direction[b]), (up - down) / (2 * small), "gradients", tolerance=1e-5)
        assert not gradient[b, row[0] :].any()
    assert not gradient[len(FIT) :].any()


def test_no_labels_at_all_and_targets_without_width():
    rows = [(3, ()), (0, ())]
    sums = sums_of(LOGITS[:2], batch_of(rows, width=0))
    assert_close(sums["loss"], loss_by_hand(LOGITS[0], 3, (), 0), "values")
    assert float(sums["weight"]) == 2


@pytest.mark.quick("float32")
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_rows_of_weight_or_length_zero_have_no_gradient_in_a_whole_network(dtype):
    forward, backward = (RNN(GRU(), 4, Scan(), dtype=dtype) for _ in range(2))
    model = SequenceTagger(None, 3, Bidirectional(forward, backward), CLASSES, dtype=dtype)
    rows, weights = [(5, (1, 2)), (0, ()), (0, (1,)), (4, (3, 3, 1)), (5, (2,))], [1, 1, 1, 1, 0]
    batch = batch_of(rows, weights)._replace(inputs=RANDOM.normal(size=(5, STEPS, 2)).astype(np.float32))
    params = model.init(jax.random.key(0), batch.inputs)["params"]

    def apply(params: Any, *args: Any, **options: Any) -> Any:
        return model.apply({"params": params}, *args, **options)

    objective = ctc(apply)
    gradient = jax.jit(jax.grad(lambda params, batch: objective(params, batch, None)["loss"]))
    whole = gradient(params, batch)
    assert all(np.isfinite(leaf).all() and np.asarray(leaf).any() for leaf in jax.tree.leaves(whole))
    kept = jax.tree.map(lambda leaf: leaf[np.array([0, 3])], batch)
    assert_close(gradient(params, kept), whole, "gradients", tolerance=2e-6 if dtype == "float32" else 2e-2, kind=dtype)
    nothing = gradient(params, batch._replace(weights=np.zeros(5, np.float32)))
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(nothing))


@pytest.mark.parametrize("blank", [0, 2])
def test_decoding_collapses_the_most_probable_path(blank):
    rows, steps = 60, 9
    lengths = np.array([steps, 0, 1, *RANDOM.integers(0, steps + 1, rows - 3)])
    logits = RANDOM.normal(size=(rows, steps, 3)).astype(np.float32)
    for given in (lengths, None):
        decode = jax.jit(functools.partial(ctc_decode, blank=blank))
        labels, counts = decode(logits, None if given is None else jnp.asarray(given))
        assert labels.shape == (rows, steps)
        for b in range(rows):
            path = logits[b, : steps if given is None else given[b]].argmax(axis=-1)
            want = collapsed(path.tolist(), blank)
            assert tuple(labels[b, : counts[b]].tolist()) == want
            assert (labels[b, counts[b] :] == blank).all()
    assert max(counts) > 4


def test_correct_are_rows_whose_decoding_is_right_in_full():
    paths = [(1, 1, 0, 2, 2), (1, 0, 1, 0, 2), (0, 0, 0, 0, 0), (3, 0, 0, 0, 0), (1, 2, 3, 1, 2)]
    labels = [(1, 2), (1, 2), (), (3,), (1, 2, 3)]
    logits = 5 * jax.nn.one_hot(jnp.array(paths), CLASSES)
    weights = [1, 1, 2, 4, 8]
    sums = sums_of(logits, batch_of([(5, row) for row in labels], weights))
    assert float(sums["accuracy"]) == 1 + 2 + 4
    # The last path is longer than its labels' row: within three steps it is right.
    rows = [(5, labels[0]), (5, labels[1]), (5, ()), (5, (3,)), (3, (1, 2, 3))]
    assert float(sums_of(logits, batch_of(rows, weights, width=3))["accuracy"]) == 1 + 2 + 4 + 8


def test_logits_of_another_shape_and_a_blank_that_is_no_class_are_errors():
    with pytest.raises(ValueError, match=r"logits: expected shape \(B, T, C\), got \(5, 4\)"):
        ctc_decode(LOGITS[0])
    with pytest.raises(ValueError, match="blank: expected one of 4 classes, got 4"):
        ctc_decode(LOGITS, blank=4)
    with pytest.raises(ValueError, match=r"logits: expected at least one step, got shape \(12, 0, 4\)"):
        sums_of(LOGITS[:, :0], batch_of(FIT + MISFIT))
