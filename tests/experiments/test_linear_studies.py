"""Linear cells and cells for Newton's method in the studies: they train under every recurrence that runs them."""

import json

import pytest
from complaints import complaint_of, last_of_each
from small_runs import SMALL, TWO
from tiny_texts import write_treebank

from experiments.language_model import __main__ as language_model
from experiments.memory import __main__ as memory
from experiments.memory.config import Memory
from experiments.sentiment import __main__ as sentiment
from experiments.sentiment.config import TextClassification

pytestmark = pytest.mark.usefixtures("quick_runs")


def results_of(path):
    """The last line of metrics.jsonl of each kind."""
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return {line["kind"]: line for line in lines}


@pytest.mark.quick("lru-associative")
@pytest.mark.parametrize(
    ("cell", "recurrence"),
    [("lru", "associative"), ("rg-lru", "associative"), ("min-gru", "newton"), ("para-lstm", "newton")],
)
def test_memory_learns(cell, recurrence, tmp_path):
    options = ["--cell", cell, "--recurrence", recurrence, "--time", "3", "--updates", "300", "--block", "100"]
    options += ["--hidden", "16", "--learning-rate", "0.01", "--no-stop", "--no-chrono", *TWO]
    memory.main(["smoke", *options, "--run-folder", str(tmp_path / "run")])
    found = results_of(tmp_path / "run")
    # Chance is log(8) = 2.08.
    assert found["result"]["loss"] < 1.5


@pytest.mark.quick("min-lstm-associative")
@pytest.mark.parametrize(
    ("cell", "recurrence"), [("min-lstm", "associative"), ("s5", "chunked"), ("para-gru", "newton")]
)
def test_sentiment_trains_and_predicts(cell, recurrence, reviews, tmp_path, capsys):
    path = str(tmp_path / "run")
    options = [*SMALL, *TWO, "--cell", cell, "--recurrence", recurrence, "--epochs", "1"]
    sentiment.main(["smoke", *last_of_each([*options, "--source", reviews, "--run-folder", path])])
    sentiment.main(["predict", path, "a good film"])
    assert "a good film" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["s5", "para-gru"])
def test_a_language_model_learns(cell, tmp_path):
    options = ["--hidden", "6", "--embedding", "6", "--steps", "7", "--batch-size", "3", "--epochs", "2", *TWO]
    options += ["--source", write_treebank(tmp_path), "--layers", "2", "--learning-rate", "0.05", "--cell", cell]
    language_model.main(last_of_each(["ptb-small", *options, "--run-folder", tmp_path / "run"]))
    final = results_of(tmp_path / "run")["final"]
    assert final["loss"] < 0.9 * final["unigram_loss"]


REFUSED = {
    "memory": (memory, ["--cell", "gru", "--recurrence", "associative"]),
    "sentiment": (sentiment, ["--cell", "lstm", "--recurrence", "associative"]),
}


@pytest.mark.parametrize(("study", "arguments"), REFUSED.values(), ids=REFUSED)
def test_a_recurrence_that_cannot_run_the_cell_is_refused_in_one_line(study, arguments, capsys):
    status, error = complaint_of(study, capsys, *arguments)
    cell = arguments[1]
    expected = f"recurrence: expected associative only with min-gru, min-lstm, lru, rg-lru, s5, got it with {cell}"
    assert (status, expected in error) == (2, True), error


@pytest.mark.parametrize("kind", [Memory, TextClassification])
def test_newton_does_not_run_complex_states(kind):
    with pytest.raises(ValueError, match="recurrence: expected another one than newton for the complex states of lru"):
        kind(cell="lru", recurrence="newton")


def test_weights_that_are_not_there_cannot_be_dropped(reviews, tmp_path, capsys):
    options = [*SMALL, *TWO, "--cell", "min-gru", "--weight-dropout", "0.5", "--source", reviews]
    status, error = complaint_of(sentiment, capsys, "smoke", *last_of_each(options), "--run-folder", tmp_path / "run")
    assert (status, "weight_dropout: expected a cell with a recurrent map, got MinGRU" in error) == (1, True), error
