"""Runs in a table and beside each other, whatever state their folders are in."""

import functools
import json
import os
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest
from complaints import complaint_of
from filelock import FileLock
from made_runs import CONFIG, epoch_line, listed, make_run, read_table, step_line

from experiments.runs import __main__ as runs
from rnnjax.runs.comparing import curves, differing_fields
from rnnjax.runs.listing import duration, shorten
from rnnjax.runs.reading import read_run

LANGUAGE = {"metric": "perplexity", "highest": False}
complaint = functools.partial(complaint_of, runs)


def test_a_row_says_how_a_run_is_doing(tmp_path, capsys):
    status = {"status": "finished", "step": 6, "time": "2026-01-01T10:00:00+0000", "message": ""}
    make_run(tmp_path / "one", status=status)
    assert listed(capsys, tmp_path) == [
        {
            "run": "one",
            "config": "sentiment-lstm",
            "status": "finished",
            "epoch": "3/4",
            "step": "6",
            "best": "accuracy 0.8100 (epoch 2)",
            "training": "1 min 30 s",
            "per second": "2,000",
        }
    ]


def test_a_language_models_best_score_is_its_lowest_perplexity(tmp_path, capsys):
    today = [
        {"kind": "epoch", "epoch": n, "train_loss": 6.0, "validation_perplexity": p, "accuracy": 0.1}
        for n, p in [(1, 468.1), (2, 397.1)]
    ]
    later = [
        *today,
        {**today[0], "epoch": 3, "step": 90, "validation_perplexity": 401.0, "seconds": 2.0, "tokens_per_second": 7e3},
    ]
    make_run(tmp_path / "today", {"experiment": "next-word", "best": LANGUAGE}, today, time="2026-01-01T10:00:00+0000")
    make_run(tmp_path / "later", {"experiment": "next-word", "best": LANGUAGE}, later, time="2026-01-02T10:00:00+0000")
    rows = listed(capsys, tmp_path)
    assert [row["run"] for row in rows] == ["later", "today"]
    assert [row["best"] for row in rows] == ["perplexity 397.1 (epoch 2)"] * 2
    assert [row["per second"] for row in rows] == ["7,000", ""]
    assert [row["step"] for row in rows] == ["90", ""]


def test_other_studies_have_a_row_without_a_score(tmp_path, capsys):
    lines = [
        {"kind": "outcome", "model": "one unit", "accuracies": [0.5, 0.6]},
        {"kind": "flow", "net": "GRU", "scale": 1},
    ]
    path = make_run(tmp_path / "folds", {"experiment": "restaurant", "epochs": 500}, lines)
    made = (path / "config.json").stat().st_mtime
    os.utime(path / "metrics.jsonl", (made, made + 75))
    assert listed(capsys, tmp_path) == [
        {"run": "folds", "config": "restaurant", "status": "unknown", "training": "~1 min 15 s"}
    ]


def test_a_run_that_was_trained(run_folder, capsys):
    (row,) = listed(capsys, run_folder)
    assert (row["run"], row["config"], row["epoch"]) == (run_folder.name, "sentiment-bilstm-max", "12/12")
    lines = map(json.loads, (run_folder / "metrics.jsonl").read_text().splitlines())
    best = max(line["validation_accuracy"] for line in lines if line["kind"] == "epoch")
    assert row["best"].startswith(f"accuracy {best:.4f} (epoch ")


@pytest.mark.parametrize("status", ["finished", "stopped", "diverged", "failed"])
def test_a_status_comes_with_its_message(status, tmp_path, capsys):
    make_run(tmp_path / "one", status={"status": status, "step": 9, "message": "step 9: loss nan"}, lines="")
    (row,) = listed(capsys, tmp_path)
    assert (row["status"], row["step"], row["note"]) == (status, "9", "step 9: loss nan")


def test_running_is_who_holds_the_lock(tmp_path, capsys):
    path = make_run(tmp_path / "one", status={"status": "running", "step": 2})
    assert listed(capsys, tmp_path)[0]["status"] == "killed"
    assert not (path / "lock").exists()
    (path / "lock").write_text("41")
    assert listed(capsys, tmp_path)[0]["status"] == "killed"
    assert (path / "lock").exists()
    hold = "import filelock, sys\nwith filelock.FileLock(sys.argv[1]): print('held', flush=True); input()"
    command = [sys.executable, "-c", hold, str(path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert listed(capsys, tmp_path)[0]["status"] == "running"
        holder.communicate("\n")
    assert listed(capsys, tmp_path)[0]["status"] == "killed"
    with FileLock(path / "lock", blocking=False):  # whoever listed has let go
        assert listed(capsys, tmp_path)[0]["status"] == "running"


def test_filters_and_orders(tmp_path, capsys):
    def best(accuracy, seconds):
        return [epoch_line(1, 2, accuracy, seconds=seconds, tokens_per_second=10 * seconds)]

    for day, (name, experiment, lines, status) in enumerate(
        [
            ("b", "sentiment-lstm", best(0.9, 5.0), "finished"),
            ("a", "sentiment-gru3", best(0.8, 7.0), "failed"),
            ("d", "next-word", [{"kind": "epoch", "epoch": 1, "validation_perplexity": 300.0}], "finished"),
            ("c", "restaurant", [], "finished"),
        ],
        start=1,
    ):
        config = {"experiment": experiment, "best": LANGUAGE if experiment == "next-word" else CONFIG["best"]}
        make_run(tmp_path / name, config, lines, {"status": status}, f"2026-01-0{day}T10:00:00+0000")

    def names(*options):
        return "".join(row["run"] for row in listed(capsys, tmp_path, *options))

    assert names() == "cdab"
    assert names("--sort", "name") == "abcd"
    assert names("--sort", "best") == "badc"
    assert names("--sort", "time") == "abcd"
    assert names("--sort", "speed") == "abcd"
    assert names("--status", "finished") == "cdb"
    assert names("--config", "sentiment-*") == "ab"
    assert names("--config", "sentiment-*", "--status", "failed") == "a"
    runs.main([str(tmp_path), "--status", "running"])
    assert capsys.readouterr().out == f"no such runs in {tmp_path}; 4 others\n"


def test_runs_are_found_at_any_depth_and_once(tmp_path, capsys):
    make_run(tmp_path / "a" / "deep" / "one", time="2026-01-02T10:00:00+0000")
    make_run(tmp_path / "two", time="2026-01-01T10:00:00+0000")
    make_run(tmp_path / "two" / "checkpoint")  # a part of a run is no run
    (tmp_path / "link").symlink_to(tmp_path / "two")
    assert [row["run"] for row in listed(capsys, tmp_path)] == ["a/deep/one", "two"]
    for folders, names in (
        (("a", "two", "."), ["a/deep/one", "two"]),
        (("a/deep/one",), ["one"]),
        (("a/deep/one", "two"), ["a/deep/one", "two"]),
        (("a/deep",), ["one"]),
        (("link", "two"), ["link"]),
    ):
        assert [row["run"] for row in listed(capsys, *(tmp_path / folder for folder in folders))] == names
    (tmp_path / "empty").mkdir()
    runs.main([str(tmp_path / "empty")])
    assert capsys.readouterr().out == f"no runs in {tmp_path / 'empty'}\n"


def test_runs_are_in_the_folder_runs_unless_told_otherwise(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "folder: expected a folder of runs, got runs" in complaint(capsys)[1]
    make_run(tmp_path / "runs" / "one")
    assert [row["run"] for row in listed(capsys)] == ["one"]


def test_durations_and_shortened_words():
    assert [duration(seconds) for seconds in (0.4, 59.7, 61, 3599, 7384)] == [
        "0 s",
        "1 min 00 s",
        "1 min 01 s",
        "59 min 59 s",
        "2 h 03 min",
    ]
    assert shorten("abcdefghij", 10) == "abcdefghij"
    assert shorten("abcdefghijk", 10) == "abc...hijk"


def test_comparing_says_where_configs_differ_and_what_was_reached(tmp_path, capsys):
    first = make_run(tmp_path / "first", status={"status": "finished"})
    config = {**CONFIG, "hidden": 64, "run_folder": "y", "dense": [8]}
    second = make_run(tmp_path / "second", config, [step_line(1), epoch_line(1, 1, 0.6)])
    file = tmp_path / "figure.png"
    runs.main(["compare", str(first), str(second), "--figure", str(file)])
    differences, scores = capsys.readouterr().out.split("\n\n")
    assert read_table(differences) == [
        {"config field": "hidden", "A": "100", "B": "64"},
        {"config field": "dense", "A": "-", "B": "[8]"},
    ]
    *scores, last = scores.splitlines()
    assert last == f"figure {file}"
    rows = read_table("\n".join(scores))
    assert [row["run"] for row in rows] == ["A first", "B second"]
    assert [row["best"] for row in rows] == ["accuracy 0.8100 (epoch 2)", "accuracy 0.6000 (epoch 1)"]
    assert [row["validation"] for row in rows] == ["accuracy 0.8100, loss 0.4000", "-"]
    assert [row["test"] for row in rows] == ["accuracy 0.7900, loss 0.5000", "-"]
    assert matplotlib.image.imread(file).shape[:2] > (400, 800)


def test_a_comparison_holds_what_the_runs_logged(tmp_path):
    first = read_run(make_run(tmp_path / "first"))
    lines = [step_line(n, learning_rate=n / 10) for n in (1, 2)]
    epochs = [
        {"kind": "epoch", "epoch": n, "step": 5 * n, "train_loss": 7.0 - n, "validation_perplexity": 300.0 / n}
        for n in (1, 2)
    ]
    second = read_run(make_run(tmp_path / "second", {**CONFIG, "cell": "gru"}, lines))
    third = read_run(make_run(tmp_path / "third", {**CONFIG, "cell": "elman", "best": LANGUAGE}, epochs))
    drawn = curves([first, second, third])
    assert [run.label for run in drawn] == ["first: cell lstm", "second: cell gru", "third: cell elman"]
    expected = (
        (0, "training loss", [(n, 1 / n) for n in range(1, 7)]),
        (0, "validation accuracy", [(1, 0.7), (2, 0.81), (3, 0.8)]),
        (0, "gradient norm", [(n, 2.0) for n in range(1, 7)]),
        (1, "learning rate", [(1, 0.1), (2, 0.2)]),
        (2, "training loss", [(5, 6.0), (10, 5.0)]),
        (2, "validation perplexity", [(1, 300.0), (2, 150.0)]),
    )
    for index, name, points in expected:
        np.testing.assert_allclose(drawn[index].points[name], points)


def test_many_differences_are_cut_in_the_legend(tmp_path):
    pair = [read_run(make_run(tmp_path / str(n), {f"field{k}": n for k in range(40)})) for n in (0, 1)]
    assert len(differing_fields(pair)) == 40
    label = curves(pair)[1].label
    assert label.startswith("1: field0 1, field1 1, ")
    shown = label.count("field")
    assert label.endswith(f" and {40 - shown} more")
    assert 3 < shown < 12


def test_what_cannot_be_compared(tmp_path, capsys):
    one = make_run(tmp_path / "one")
    nothing = make_run(tmp_path / "nothing", lines="")
    file = tmp_path / "figure.png"
    cases = (
        (["compare"], "runs: expected 1 to 8, got 0"),
        (["compare", *"abcdefghi"], "runs: expected 1 to 8, got 9"),
        (["compare", one, tmp_path, "--figure", file], f"run folder: expected config.json in {tmp_path}, found none"),
        (["compare", one, one / ".", "--figure", file], "runs: expected different runs, got"),
        (["compare", nothing, "--figure", file], "expected steps or epochs in the metrics of at least one, found none"),
        (
            ["compare", one, "--figure", "figure.gif"],
            "figure: expected a name that ends in .png, .pdf, .svg, got figure.gif",
        ),
        (["compare", one, "--figure", tmp_path / "no" / "a.png"], "figure: expected an existing folder, got"),
        ([tmp_path / "nowhere"], "folder: expected a folder of runs, got"),
        (["--status", "dead"], "invalid choice 'dead'"),
    )
    for arguments, message in cases:
        assert message in complaint(capsys, *arguments)[1]
    assert not file.exists()
