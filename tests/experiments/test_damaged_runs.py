"""Half-written, damaged and oddly named run folders: the table says what is wrong, and shows all the rest."""

import json
import os

import pytest
from filelock import FileLock
from made_runs import CONFIG, LINES, epoch_line, listed, make_run, read_table, step_line
from resealed import sealed_lines

from experiments.runs import __main__ as runs
from rnnjax.runs.listing import shorten
from rnnjax.runs.reading import read_run
from rnnjax.runs.seals import sealed


def test_a_half_written_line_is_no_damage_while_a_run_is_running(tmp_path, capsys):
    lines = sealed_lines(LINES[:3]) + '{"kind": "step", "st'
    path = make_run(tmp_path / "one", lines=lines, status={"status": "running"})
    assert listed(capsys, tmp_path)[0]["note"] == "metrics.jsonl: line 4: expected a JSON object with a kind"
    with FileLock(path / "lock"):
        (row,) = listed(capsys, tmp_path)
    assert "note" not in row
    assert row["best"] == "accuracy 0.7000 (epoch 1)"


def test_a_resumed_run_counts_no_step_twice(tmp_path):
    """Resumed after step 2: the lines of the first session's steps 3 to 6 no longer count, from the next line on."""
    again = [step_line(3, loss=9.0), step_line(4), epoch_line(2, 4, 0.6)]
    for count, steps, epochs in ((1, 3, [(1, 0.7)]), (3, 4, [(1, 0.7), (2, 0.6)])):
        metrics = read_run(make_run(tmp_path / str(count), lines=[*LINES[:9], *again[:count]])).metrics
        assert [line["step"] for line in metrics.steps] == list(range(1, steps + 1))
        assert metrics.steps[2]["loss"] == 9.0
        assert [(line["epoch"], line["validation_accuracy"]) for line in metrics.epochs] == epochs


def test_a_resumed_run_without_steps_counts_no_epoch_twice(tmp_path):
    lines = [{"kind": "epoch", "epoch": epoch, "perplexity": 100.0 + epoch} for epoch in (1, 2, 3, 2)]
    epochs = read_run(make_run(tmp_path / "one", lines=lines)).metrics.epochs
    assert [line["epoch"] for line in epochs] == [1, 2]


STATUSES = "running, finished, stopped, diverged, failed"
# What is written to a file of a good run, and what its row then says.
DAMAGED_FILES = {
    "config": ("config.json", "{", "expected JSON"),
    "config_list": ("config.json", "[1]", "expected a JSON object, got list"),
    "config_bytes": ("config.json", b"\xff\xfe{}", "expected JSON"),
    "config_deep": ("config.json", "[" * 100_000, "expected JSON"),
    "environment": ("environment.json", "", "expected JSON"),
    "time": ("environment.json", {"time": 7}, ""),
    "time_words": ("environment.json", {"time": "noon"}, ""),
    "status": ("status.json", "nonsense", "expected JSON"),
    "status_word": ("status.json", {"status": "dead"}, f"expected one of {STATUSES}, got 'dead'"),
    "status_types": (
        "status.json",
        {"status": ["running"], "step": "x", "message": 7},
        f"expected one of {STATUSES}, got ['running']",
    ),
}


@pytest.mark.parametrize(("name", "content", "note"), DAMAGED_FILES.values(), ids=DAMAGED_FILES.keys())
def test_a_damaged_file_is_named_in_its_row(name, content, note, tmp_path, capsys):
    make_run(tmp_path / "good")
    damaged = make_run(tmp_path / "damaged")
    content = json.dumps(sealed(content)) if isinstance(content, dict) else content
    (damaged / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    rows = {row["run"]: row for row in listed(capsys, tmp_path)}
    assert rows["damaged"].get("note", "") == shorten(note and f"{name}: {note}", 80)
    assert rows["good"]["best"] == "accuracy 0.8100 (epoch 2)"
    # Which of the metrics is the one to look at is in the config.
    known = name != "config.json" or isinstance(content, dict)
    assert rows["damaged"]["best"] == (rows["good"]["best"] if known else "")
    assert not rows["good"].get("note")


SCORED = {"kind": "epoch", "epoch": 1, "step": 2}
# The first line of metrics.jsonl, before those of a good run, and what the row then says of it.
DAMAGED_LINES = {
    "bytes": (b"\x00\x01\xff", "expected a JSON object with a kind"),
    "half": (b'{"kind": "st', "expected a JSON object with a kind"),
    "list": (b"[1]", "expected a JSON object with a kind"),
    "null": (b"null", "expected a JSON object with a kind"),
    "empty": (b"", "expected a JSON object with a kind"),
    "kind": ({"kind": ["step"], "step": 1}, "expected a JSON object with a kind"),
    "no_epoch": ({"kind": "epoch", "step": 3}, "expected epoch, found none"),
    "epoch": ({**SCORED, "epoch": "1"}, "epoch: expected a whole number, got '1'"),
    "step": (step_line(2.5), "step: expected a whole number, got '2.5'"),
    "negative": (step_line(-1), "step: expected a whole number, got '-1'"),
    "huge": (step_line(1e300), "step: expected a whole number, got '1e+300'"),
    "word": ({**SCORED, "validation_accuracy": "high"}, "validation_accuracy: expected a number, got 'high'"),
    "true": ({**SCORED, "validation_accuracy": True}, "validation_accuracy: expected a number, got 'True'"),
    "digits": ({**SCORED, "seconds": 10**400}, "seconds: expected a number, got '10000000000000000000'"),
    "not_finite": ({**SCORED, "validation_accuracy": float("nan"), "seconds": float("inf")}, ""),
    "part": ({"kind": "final", "part": {"a": 1}, "accuracy": 0.5}, ""),
}


@pytest.mark.parametrize(("line", "note"), DAMAGED_LINES.values(), ids=DAMAGED_LINES.keys())
def test_a_damaged_line_is_named_and_the_others_count(line, note, tmp_path, capsys):
    path = make_run(tmp_path / "one")
    text = line + b"\n" + sealed_lines(LINES).encode() if isinstance(line, bytes) else sealed_lines([line, *LINES])
    (path / "metrics.jsonl").write_bytes(text if isinstance(text, bytes) else text.encode())
    (row,) = listed(capsys, tmp_path)
    assert row.get("note", "") == (note and f"metrics.jsonl: line 1: {note}")
    assert (row["best"], row["step"]) == ("accuracy 0.8100 (epoch 2)", "6")


def test_damaged_lines_are_counted(tmp_path, capsys):
    path = make_run(tmp_path / "one", lines="[1]\n3\nnull\n")
    (row,) = listed(capsys, path)
    assert row["note"] == "metrics.jsonl: line 1: expected a JSON object with a kind (and 2 more)"


def test_a_file_that_is_no_file(tmp_path, capsys):
    path = make_run(tmp_path / "one")
    (path / "metrics.jsonl").unlink()
    (path / "metrics.jsonl").mkdir()
    (path / "status.json").mkdir()
    (row,) = listed(capsys, path)
    assert (row["config"], row["status"]) == ("sentiment-lstm", "unknown")


def test_names_that_would_break_a_table(tmp_path, capsys):
    names = ["short", "a" * 200, "two\nlines\tand \x1b[31mred", os.fsdecode(b"not-\xff-utf8")]
    config = {**CONFIG, "experiment": "\ud800" + "very" * 50}
    for name in names:
        make_run(tmp_path / name, config, status={"status": "failed", "message": "a\nb " + "x" * 500})
    runs.main([str(tmp_path)])
    out = capsys.readouterr().out
    out.encode()
    assert len(out.splitlines()) == 2 + len(names)
    assert "\x1b" not in out
    rows = read_table(out)
    assert {row["status"] for row in rows} == {"failed"}
    assert {row["run"] for row in rows} == {"short", f"{'a' * 16}...{'a' * 17}", "two?lines?and ?[31mred", "not-?-utf8"}
    assert max(map(len, out.splitlines())) < 240


def test_a_link_in_a_run_folder_is_not_followed(tmp_path, capsys):
    path = make_run(tmp_path / "one", lines=LINES)
    (path / "metrics.jsonl").rename(tmp_path / "elsewhere")
    (path / "metrics.jsonl").symlink_to(tmp_path / "elsewhere")
    (row,) = listed(capsys, tmp_path)
    assert row["note"] == "metrics.jsonl: expected a file, got a symbolic link"
    assert "epoch" not in row
