"""Each half of the validation part chooses an epoch, and the other half measures it."""

import json

import jax
import numpy as np
import pytest

from experiments.sentiment.data import Part
from experiments.sentiment.halves import by_half, in_halves, two_fold
from rnnjax.data import Batch, Sequences
from rnnjax.training import batch_mesh, classification, eval_step

# float32 sums, which another device may compute in another order; on a CPU they were equal.
TOLERANCE = 1e-6


def part_of(labels):
    sequences = Sequences.of([[1]] * len(labels))
    return Part(sequences, sequences, np.array(labels, np.int32), np.zeros(len(labels), int))


@pytest.mark.parametrize("counts", [(50, 50), (13, 8, 1, 5, 20), (1, 1)])
def test_halves_are_stratified_and_drawn_by_the_seed(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    targets, again, other = (in_halves(part_of(labels), seed).labels for seed in (0, 0, 1))
    np.testing.assert_array_equal(targets[:, 0], labels)
    for label in range(len(counts)):
        found = np.bincount(targets[labels == label, 1], minlength=2)
        assert abs(found[0] - found[1]) <= 1
    assert abs(np.sum(targets[:, 1] == 0) - np.sum(targets[:, 1] == 1)) <= 1
    np.testing.assert_array_equal(targets, again)
    assert len(labels) < 10 or (targets != other).any()


def given_logits(params, inputs, lengths, **mode):
    return inputs[:, 0] if inputs.shape[1] == 1 else inputs


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("devices", [1, 2])
def test_the_sums_are_those_of_the_objective_with_the_correct_rows_of_each_half(classes, devices):
    random = np.random.default_rng(classes)
    logits = random.normal(size=(24, 1 if classes == 2 else classes)).astype(np.float32)
    labels, half = random.integers(0, classes, 24).astype(np.int32), random.integers(0, 2, 24).astype(np.int32)
    weights = (np.arange(24) < 21).astype(np.float32)
    batch = Batch(logits, np.arange(24, dtype=np.int32), labels, weights, np.arange(24, dtype=np.int32))
    objective, mesh = classification(given_logits, classes), batch_mesh(devices)
    plain = jax.device_get(eval_step(objective, mesh)((), batch))
    sums = jax.device_get(
        eval_step(by_half(objective), mesh)((), batch._replace(targets=np.stack([labels, half], axis=1)))
    )
    correct = sums.pop("correct")
    assert sums.keys() == plain.keys()
    for name, value in plain.items():
        np.testing.assert_allclose(sums[name], value, rtol=TOLERANCE, err_msg=name)
    guesses = (logits[:, 0] > 0).astype(int) if classes == 2 else logits.argmax(axis=1)
    right = (guesses == labels) & (weights > 0)
    np.testing.assert_array_equal(correct, [right[half == 0].sum(), right[half == 1].sum()])
    assert correct[0] != correct[1]


def test_the_network_is_applied_once():
    def apply(params, inputs, lengths, **mode):
        return inputs @ params

    batch = Batch(np.ones((4, 3), np.float32), *np.ones((4, 4), np.int32))
    batch = batch._replace(targets=np.ones((4, 2), np.int32), weights=np.ones(4, np.float32))
    traced = str(jax.make_jaxpr(by_half(classification(apply, 2)))(np.ones(3, np.float32), batch, None))
    products = [line for line in traced.splitlines() if "dot_general" in line and "f32[4]" in line.split("=")[0]]
    assert len(products) == 1, traced


def lines_of(pairs):
    return [{"epoch": epoch, "correct": list(map(int, pair))} for epoch, pair in enumerate(pairs, start=1)]


def test_two_fold_is_every_row_by_the_epoch_that_the_other_half_chose():
    random = np.random.default_rng(0)
    for _ in range(20):
        half = random.integers(0, 2, 40)
        right = random.random((6, 40)) < 0.6  # of each epoch and row
        accuracy = [[right[epoch, half == own].mean() for own in (0, 1)] for epoch in range(6)]
        chosen = [max(range(6), key=lambda epoch: (accuracy[epoch][own], -epoch)) for own in (0, 1)]
        wanted = np.mean([right[chosen[1 - half[row]], row] for row in range(40)])
        found = two_fold(lines_of([(row[half == 0].sum(), row[half == 1].sum()) for row in right.astype(int)]), half)
        assert found is not None
        assert found.accuracy == pytest.approx(wanted)
        assert found.epochs == (chosen[0] + 1, chosen[1] + 1)


def test_what_each_half_measures_is_not_what_it_chose_by():
    found = two_fold(lines_of([(4, 1), (1, 5), (4, 5)]), np.array([0] * 5 + [1] * 5))
    assert found == (0.2, (1, 2))


HALF = np.array([0, 1, 1])
BROKEN = {
    "no line": [],
    "first epoch missing": lines_of([(1, 1), (1, 2)])[1:],
    "an epoch twice": [*lines_of([(1, 1)]), *lines_of([(1, 1)])],
    "no counts": [{"epoch": 1}],
    "other counts": [{"epoch": 1, "correct": [1]}],
    "words": [{"epoch": 1, "correct": ["1", None]}],
    "other epochs": [{"epoch": {}, "correct": [1, 1]}],
}


@pytest.mark.parametrize("case", BROKEN)
def test_without_every_epoch_there_is_none(case):
    assert two_fold(lines_of([(1, 2)]), HALF) == (1.0, (1, 1))
    assert two_fold(BROKEN[case], HALF) is None
    assert two_fold(lines_of([(1, 0)]), HALF[:1]) is None


def test_a_run_logs_the_correct_rows_of_every_epoch_and_the_accuracy(run_folder):
    found = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    epochs, halves, (final,) = (
        [line for line in found if line["kind"] == kind] for kind in ("epoch", "halves", "final")
    )
    assert len(epochs) == len(halves) == 12
    for epoch, line in zip(epochs, halves, strict=True):
        assert sum(line["correct"]) == pytest.approx(12 * epoch["validation_accuracy"])
    correct = np.array([line["correct"] for line in halves])
    first, second = correct.argmax(axis=0)
    assert final["two_fold_accuracy"] == (correct[first, 1] + correct[second, 0]) / 12
    assert 0 < final["macro_f1"] <= 1
