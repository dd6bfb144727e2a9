"""The studies tagging, reversal and ctc: data and baselines by hand, small runs, and how runs end."""

import functools
import itertools
import json

import numpy as np
import pytest
from complaints import complaint_of, last_of_each

from experiments.ctc import __main__ as ctc
from experiments.ctc import data as frames
from experiments.reversal import __main__ as reversal
from experiments.reversal import data as strings
from experiments.tagging import __main__ as tagging
from experiments.tagging import data as markers
from rnnjax import scores
from rnnjax.data import Batch

STUDIES = {"tagging": tagging, "reversal": reversal, "ctc": ctc}
TINY = ["--train", "16", "--validation", "8", "--test", "8", "--hidden", "4", "--batch-size", "8", "--devices", "2"]
every_study = pytest.mark.parametrize(
    "study",
    [
        pytest.param(study, id=name, marks=() if name == "tagging" else pytest.mark.slow)
        for name, study in STUDIES.items()
    ],
)


def lines(study, folder, capsys, *options):
    """What a tiny run prints and records, without seconds, the seals that are of them too, and paths."""
    study.main(["smoke", *last_of_each([*TINY, "--longest", "4", "--run-folder", folder, *options])])
    printed = capsys.readouterr().out
    assert str(folder) in printed
    recorded = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in recorded:
        for name in ("seconds", "tokens_per_second", "seal"):
            line.pop(name, None)
    return printed, recorded


@pytest.mark.slow
@every_study
def test_a_run_prints_baselines_and_networks_and_follows_from_its_seed(study, tmp_path, capsys):
    printed, first = lines(study, tmp_path / "first", capsys)
    outcomes = [line for line in first if line["kind"] == "outcome"]
    assert len(outcomes) >= 3
    assert all(line["model"] in printed for line in outcomes)
    config = json.loads((tmp_path / "first" / "config.json").read_text())
    assert (config["experiment"], config["train"]) == (study.PROGRAM.split(".")[1], 16)
    assert lines(study, tmp_path / "again", capsys)[1] == first
    assert lines(study, tmp_path / "other", capsys, "--seed", "1")[1] != first


@pytest.mark.slow
def test_a_tagger_of_both_directions_learns_what_one_direction_cannot(tmp_path, capsys):
    options = ["--train", "600", "--epochs", "6", "--hidden", "16", "--learning-rate", "0.02", "--validation", "50"]
    _, recorded = lines(tagging, tmp_path / "run", capsys, *options, "--test", "200", "--longest", "12")
    accuracy = {line["model"]: line["accuracy"] for line in recorded if line["kind"] == "outcome"}
    assert accuracy["GRU, both directions"] > 0.95
    assert accuracy["GRU, forward"] < 0.8
    assert accuracy["most frequent tag of a symbol"] < 0.6


BAD_ARGUMENTS = {
    "train": ("tagging", ["--train", "0"], "train: expected at least 1, got 0"),
    "seed": ("ctc", ["--seed", "-1"], "seed: expected 0 to 4294967295, got -1"),
    "learning_rate": ("reversal", ["--learning-rate", "nan"], "learning_rate: expected a number above 0, got nan"),
    "share": ("tagging", ["--marker-share", "1"], "marker_share: expected 0 < share < 1, got 1"),
    "markers": ("tagging", ["--markers", "101"], "markers: expected 1 to 100, got 101"),
    "letters": ("reversal", ["--letters", "1"], "letters: expected at least 2, got 1"),
    "attention": ("reversal", ["--attention", "dot"], "invalid choice 'dot' for argument '--attention'"),
    "held": ("ctc", ["--shortest", "4", "--held", "3"], "held: expected at least 4, got 3"),
    "noise": ("ctc", ["--noise", "inf"], "noise: expected a number of at least 0, got inf"),
    "flag": ("ctc", ["--epoch", "3"], "Unrecognized options: --epoch"),
}


@pytest.mark.parametrize(("study", "arguments", "message"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_bad_arguments_end_with_one_line(study, arguments, message, capsys):
    status, error = complaint_of(STUDIES[study], capsys, "smoke", *arguments)
    assert status == 2
    assert message in error


def test_what_cannot_be_done_ends_with_one_line_before_a_run_folder_is_made(tmp_path, capsys):
    (tmp_path / "theirs").touch()
    complaint = functools.partial(complaint_of, tagging, capsys, "smoke")
    assert "run folder: expected a new path, got" in complaint(*TINY, "--run-folder", tmp_path)[1]
    status, error = complaint(*last_of_each([*TINY, "--run-folder", tmp_path / "new", "--batch-size", "3"]))
    assert (status, "batch_size: expected a multiple of 2 devices, got 3" in error) == (1, True)
    options = ["--letters", "2", "--longest", "3", "--run-folder", str(tmp_path / "new")]
    error = complaint_of(reversal, capsys, "smoke", *TINY, *options)[1]
    assert "train, validation, test: expected at most 14 strings in all" in error
    assert not (tmp_path / "new").exists()


def test_tags_are_the_nearest_markers_on_both_sides():
    config = markers.Tagging(longest=12, letters=3, markers=2, marker_share=0.3)
    data = markers.draw(config, "test", 50)
    assert {data.lengths.min(), data.lengths.max()} == {1, 12}
    for tokens, length, tags in zip(data.inputs, data.lengths, data.targets, strict=True):
        assert (tokens[:length] > 0).all()
        assert not tokens[length:].any()
        for t in range(length):
            before = [token for token in tokens[:t] if token <= 2]
            after = [token for token in tokens[t + 1 : length] if token <= 2]
            assert tags[t] == 3 * (before[-1] if before else 0) + (after[0] if after else 0)
    assert set(data.targets.ravel()) == set(range(9))
    assert (markers.draw(config, "training", 50).inputs != data.inputs).any()


def test_the_most_frequent_tag_is_that_of_each_context():
    def batch(tokens, tags):
        tokens, tags = np.array(tokens, np.int32), np.array(tags, np.int32)
        ones = np.ones(len(tokens), np.float32)
        return Batch(tokens, np.full(len(tokens), 3, np.int32), tags, ones, np.arange(len(tokens)))

    training = batch([[1, 2, 1], [1, 2, 2], [2, 2, 1]], [[0, 1, 0], [0, 1, 3], [1, 3, 2]])
    # Symbol 1 is 0 mostly, 2 is 1 mostly, and 3 has never been seen: the commonest tag of all is 0 (or 1).
    assert markers.most_frequent(training, batch([[1, 2, 3]], [[0, 1, 0]]), 0) == 1
    assert markers.most_frequent(training, batch([[1, 2, 3]], [[1, 1, 3]]), 0) == pytest.approx(1 / 3)
    # With neighbours the last 1 of "2 2 1" is told from that of "1 2 1" no more, but the 2 between 2 and 1 is a 3.
    assert markers.most_frequent(training, batch([[2, 2, 1]], [[1, 3, 0]]), 1) == pytest.approx(1)


def test_strings_are_reversed_and_no_string_is_in_two_parts():
    config = strings.Reversal(train=200, validation=60, test=50, letters=3, longest=6)
    parts = strings.draw(config)
    sources = [scores.rows_of(part.inputs, part.lengths) for part in parts]
    assert [len(part) for part in sources] == [200, 60, 50]
    assert len(set(itertools.chain(*sources))) == 310
    for part, rows in zip(parts, sources, strict=True):
        assert scores.rows_of(part.targets, part.target_lengths) == [row[::-1] for row in rows]
    assert all(min(map(len, rows)) < 4 for rows in sources)


@pytest.mark.slow
def test_rendered_symbols_are_held_and_parted_so_that_nearest_patterns_read_them_without_noise():
    config = frames.Rendering(longest=6, symbols=3, noise=0.0, shortest=2, held=4, silence=1)
    data = frames.draw(config, "test", 80)
    targets = scores.rows_of(data.targets, data.target_lengths)
    assert frames.nearest_patterns(config, data, 1) == targets
    # Equal neighbours are among them: only the silence between tells them apart.
    assert sum(a == b for row in targets for a, b in itertools.pairwise(row)) > 20
    for row, (inputs, length) in enumerate(zip(data.inputs, data.lengths, strict=True)):
        shown = ((inputs[:length, None] - config.patterns()) ** 2).sum(axis=-1).argmin(axis=-1)
        runs = [(symbol, len(list(run))) for symbol, run in itertools.groupby(shown)]
        assert [symbol for symbol, _ in runs if symbol] == list(targets[row])
        assert all(2 <= held <= 4 for symbol, held in runs if symbol)
        assert not inputs[length:].any()
    noisy = frames.Rendering(longest=6, symbols=3, noise=0.6, shortest=4, held=6)
    data = frames.draw(noisy, "test", 80)
    targets = scores.rows_of(data.targets, data.target_lengths)
    errors = {w: scores.error_rate(frames.nearest_patterns(noisy, data, w), targets) for w in frames.WINDOWS}
    assert frames.best_window(noisy, data) == min(errors, key=lambda window: errors[window]) != 1
