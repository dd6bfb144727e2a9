"""The options --class-weights and --balanced of the sentiment study."""

import json

import numpy as np
import pytest
from complaints import complaint_of
from small_runs import new

from experiments.sentiment import __main__ as sentiment
from experiments.sentiment.config import TextClassification
from experiments.sentiment.data import class_weights, prepare

pytestmark = pytest.mark.usefixtures("quick_runs")


def first_loss(reviews, path, *options):
    sentiment.main(new(reviews, path, "--epochs", "1", *options))
    return json.loads((path / "metrics.jsonl").read_text().splitlines()[0])["loss"]


@pytest.fixture(scope="module")
def plain_loss(tmp_path_factory, reviews, quick_runs):
    return first_loss(reviews, tmp_path_factory.mktemp("plain") / "run")


@pytest.mark.slow
def test_class_weights_change_the_training_loss(tmp_path, reviews, plain_loss):
    twice = first_loss(reviews, tmp_path / "twice", "--class-weights", "2", "2")
    np.testing.assert_allclose(twice, 2 * plain_loss, rtol=1e-6)
    assert first_loss(reviews, tmp_path / "one", "--class-weights", "1", "4") > 1.01 * plain_loss


@pytest.fixture
def unequal(tmp_path):
    """A source with 10 negative and 30 positive texts to train on."""
    folder = tmp_path / "unequal"
    folder.mkdir()
    for part, counts in {"train": (10, 30), "validation": (4, 4)}.items():
        rows = [(f"{part} film {label} {row}", label) for label in (0, 1) for row in range(counts[label])]
        (folder / f"{part}.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    return folder


@pytest.mark.slow
def test_balanced_weights_are_the_rows_by_the_rows_of_the_class(unequal, tmp_path):
    config = TextClassification(source=str(unequal), balanced=True)
    weights = class_weights(config, prepare(config))
    assert weights is not None
    np.testing.assert_allclose(weights, [40 / (2 * 10), 40 / (2 * 30)])
    given = ["--class-weights", *map(str, weights)]
    losses = [
        first_loss(unequal, tmp_path / str(number), "--rows", "40", *options)
        for number, options in enumerate(([], ["--balanced"], given))
    ]
    np.testing.assert_allclose(losses[1], losses[2], rtol=1e-6)
    assert abs(losses[1] - losses[0]) > 1e-3


def test_both_options_together_are_refused(reviews, tmp_path, capsys):
    with pytest.raises(ValueError, match="class_weights: expected none with balanced, got some"):
        TextClassification(balanced=True, class_weights=(1.0, 2.0))
    arguments = new(reviews, tmp_path / "run", "--balanced", "--class-weights", "1", "2")
    status, error = complaint_of(sentiment, capsys, *arguments)
    assert (status, "class_weights: expected none with balanced" in error) == (2, True), error
    assert not (tmp_path / "run").exists()


def test_another_number_of_weights_than_classes_is_one_line(reviews, tmp_path, capsys):
    arguments = new(reviews, tmp_path / "run", "--class-weights", "1", "2", "3")
    status, error = complaint_of(sentiment, capsys, *arguments)
    assert (status, "class_weights: expected 2, one for each class, got 3" in error) == (1, True), error
    assert not (tmp_path / "run").exists()
