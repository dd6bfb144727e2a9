"""Seals of a run's files: what was changed, moved, cut or mixed up is named; what is as it was written is not."""

import json

import pytest

from rnnjax.runs import RunFolder
from rnnjax.runs.folder import read_object, write_json
from rnnjax.runs.seals import START, Mark, check_lines, unsealed

LINES = [{"step": step, "loss": 1 / step, "words": 'a ", "seal": "0", é'} for step in (1, 2, 3, 4)]


@pytest.fixture
def folder(tmp_path):
    """A run folder with four lines, and the mark after each."""
    folder, marks = RunFolder.create(tmp_path / "run", {"a": [1, 2.5], "b": {"c": None}}, {"vocabulary.json": "{}"}), []
    with folder.metrics() as log:
        for line in LINES:
            log.write(line)
            marks.append(log.mark)
    return folder, marks


def changed(first, second):
    return lambda text: text.replace(first, second, 1)


# What is done to config.json.
OTHER_VALUES = {
    "a value": changed("2.5", "2.6"),
    "a name": changed('"c"', '"d"'),
    "another one": changed('"a"', '"z": 1, "a"'),
    "the seal": lambda text: text.replace(text[-5], "0" if text[-5] != "0" else "1"),
    "no seal": lambda text: json.dumps({"a": [1, 2.5], "b": {"c": None}}),
}


@pytest.mark.parametrize("change", OTHER_VALUES.values(), ids=OTHER_VALUES.keys())
def test_an_object_with_other_values_is_named(change, folder):
    file = folder[0].path / "config.json"
    text = file.read_text()
    file.write_text(change(text))
    assert file.read_text() != text
    with pytest.raises(ValueError, match=r"config\.json: expected what was written \(sha256 .*\), found other values"):
        folder[0].config()


def test_an_object_may_be_written_in_another_way(folder):
    file = folder[0].path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()), sort_keys=True))
    assert folder[0].config() == {"a": [1, 2.5], "b": {"c": None}}
    write_json(file, {**json.loads(file.read_text()), "a": 3})  # an old seal is not sealed
    assert read_object(file) == {"a": 3, "b": {"c": None}}


def test_what_is_too_deep_to_be_sealed_is_no_crash():
    value = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="nested too deeply"):
        unsealed({"a": value})


def test_lines_go_on_where_they_ended(folder):
    run, marks = folder
    file = run.path / "metrics.jsonl"
    text = file.read_text()
    assert [json.loads(line) for line in text.splitlines()] == [
        {**line, "seal": mark.seal} for line, mark in zip(LINES, marks, strict=True)
    ]
    assert marks[-1].bytes == len(text)
    for mark in (START, *marks):
        check_lines(file, mark)
    for mark in (marks[1], START):
        run.cut_metrics(mark)
        assert file.read_text() == text[: mark.bytes]
        with run.metrics(mark) as log:
            for line in LINES[(START, *marks).index(mark) :]:
                log.write(line)
        assert file.read_text() == text


def test_whatever_a_killed_run_left_after_a_mark_is_cut(folder):
    run, marks = folder
    file, mark = run.path / "metrics.jsonl", marks[1]
    text = file.read_bytes()
    for length in range(len(text) + 1):
        file.write_bytes(text[:length])
        if length < mark.bytes:
            with pytest.raises(ValueError, match=r"metrics\.jsonl: line [12]: expected the line that was written"):
                check_lines(file, mark)
        else:
            check_lines(file, mark)
            run.cut_metrics(mark)
            assert file.read_bytes() == text[: mark.bytes]


def without(*numbers):
    return lambda lines: [line for number, line in enumerate(lines, start=1) if number not in numbers]


# What is done to the lines, and which one is named.
OTHER_LINES = {
    "a digit": (lambda lines: [lines[0], lines[1].replace("0.5", "0.6"), *lines[2:]], 2),
    "a space": (lambda lines: [lines[0], lines[1].replace(" ", "\t", 1), *lines[2:]], 2),
    "a seal": (lambda lines: [lines[0][:-4] + ("0" if lines[0][-4] != "0" else "1") + lines[0][-3:], *lines[1:]], 1),
    "no seal": (lambda lines: [lines[0], lines[1].rpartition(', "seal"')[0] + "}\n", *lines[2:]], 2),
    "bytes": (lambda lines: [lines[0], "\ufffd\x00\n", *lines[2:]], 2),
    "no beginning": (without(1), 1),
    "no middle": (without(2, 3), 2),
    "no end": (without(4), 4),
    "half an end": (lambda lines: [*lines[:3], lines[3][:-1]], 4),
    "nothing": (lambda lines: [], 1),
    "another order": (lambda lines: [lines[0], lines[2], lines[1], lines[3]], 2),
    "one twice": (lambda lines: [lines[0], *lines], 2),
}


@pytest.mark.parametrize(("change", "number"), OTHER_LINES.values(), ids=OTHER_LINES.keys())
def test_other_lines_are_named(change, number, folder):
    run, marks = folder
    file = run.path / "metrics.jsonl"
    file.write_text("".join(change(file.read_text().splitlines(keepends=True))))
    with pytest.raises(ValueError, match=rf"metrics\.jsonl: line {number}: expected the line that was written, got "):
        check_lines(file, marks[-1])


def test_the_lines_of_another_run_are_named(folder):
    run, marks = folder
    with pytest.raises(ValueError, match=r"line 4: expected the seal 0123, got \w{16}: lines of another run"):
        check_lines(run.path / "metrics.jsonl", Mark(marks[-1].bytes, "0123"))


@pytest.mark.parametrize("mark", [None, [], [1], [1.0, ""], [True, ""], [-1, ""], [1, 2], {"bytes": 1}])
def test_what_is_no_mark_is_named(mark):
    with pytest.raises(ValueError, match="mark: expected bytes and a seal, got "):
        Mark.from_json(mark)
    assert Mark.from_json(json.loads(json.dumps(Mark(3, "a")))) == Mark(3, "a")


def test_the_seals_of_a_run_are_of_what_stays(folder, tmp_path):
    run = folder[0]
    seals = run.seals()
    assert list(seals) == ["run", "config.json", "vocabulary.json"]
    for may_change in ("epochs", "patience", "source", "file", "execution"):
        write_json(run.path / "config.json", {**run.config(), may_change: 3})
    run.add_environment(3)
    assert run.seals() == seals
    write_json(run.path / "config.json", {**run.config(), "learning_rate": 3})
    (run.path / "vocabulary.json").write_text("{ }")
    twin = RunFolder.create(tmp_path / "twin", run.config(), {"vocabulary.json": "{}"}).seals()
    assert [name for name, value in run.seals().items() if value != seals[name]] == ["config.json", "vocabulary.json"]
    assert [name for name, value in twin.items() if value == seals[name]] == ["vocabulary.json"]
