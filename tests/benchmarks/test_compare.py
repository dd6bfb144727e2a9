"""Any cell by name or as an object, any recurrence: `compare` from Python, and `--cell` of the commands."""

import dataclasses
import json
import sys

import jax
import jax.numpy as jnp
import pytest

from benchmarks import compare, report, throughput
from benchmarks.peers.comparison import Comparison
from benchmarks.peers.comparison import compare as compare_peers
from benchmarks.recurrences import compared
from benchmarks.recurrences import report as throughput_report
from benchmarks.recurrences.cases import Outcome, from_row
from benchmarks.work import Shape
from rnnjax import LSTM, Chunked, Elman, Scan
from rnnjax.cells.names import ALL_CELLS

pytestmark = pytest.mark.usefixtures("quick_compile")

SHAPES = ["2x3x2x4", Shape(batch=4, time=2, input=3, hidden=2)]
OWN = """
import dataclasses
from rnnjax import Elman

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(Elman):
    pass

ready = Mine(activation="relu")
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """The name of a module on the path."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


class Wrong(Scan):
    """The gradient of the inputs is lost."""

    def __call__(self, cell, params, inputs, *arguments, **options):
        return super().__call__(cell, params, jax.lax.stop_gradient(inputs), *arguments, **options)


class Failing(Scan):
    def __call__(self, *arguments, **options):
        raise TypeError("no such thing\nand more of it")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Doubling(Elman):
    """Its output is not its hidden state, and is wider."""

    def output(self, extras, state, inputs):
        return jnp.concatenate([state.hidden, 2 * state.hidden], axis=-1)


@pytest.mark.slow
def test_right_wrong_and_failing_recurrences_are_rows(capsys):
    rows = compare(
        [Chunked(2), ("wrong", Wrong()), ("failing", Failing())], [Doubling()], SHAPES[:1], rounds=2, show=True
    )
    found = {row["case"]["recurrence"]: row for row in rows}
    assert {name: row["status"] for name, row in found.items()} == {
        "Scan()": "measured",
        "Chunked(size=2, keep=None)": "measured",
        "wrong": "wrong",
        "failing": "failed",
    }
    assert {row["case"]["cell"] for row in rows} == {"Doubling"}
    assert found["failing"]["reason"] == "TypeError: no such thing"
    assert found["wrong"]["reason"].startswith("wrong: deviation of values ")
    assert found["wrong"]["deviation"]["gradients"] == pytest.approx(1)  # all of it
    assert found["wrong"]["speed"] is None
    assert max(found["Scan()"]["deviation"].values()) < 1e-5
    assert found["Scan()"]["speed"]["scan_ratio"] == {"low": 1, "middle": 1, "high": 1}
    chunked = found["Chunked(size=2, keep=None)"]["speed"]
    ratios = sorted(
        mine / base
        for mine, base in zip(chunked["round_seconds"], found["Scan()"]["speed"]["round_seconds"], strict=True)
    )
    assert chunked["scan_ratio"]["middle"] == pytest.approx(sum(ratios) / 2)
    text = capsys.readouterr().out
    assert "| TypeError: no such thing |" in text
    assert text.count("| Doubling | train | float32 | 2 | 2 | 4 | 3 | ") == 4
    assert json.loads(json.dumps(rows)) == rows
    assert from_row(rows[0])[0].status in ("wrong", "failed")


def test_cells_are_named_by_the_library_or_by_their_class_or_by_you(own_module, monkeypatch):
    monkeypatch.setattr(compared, "measure", lambda group, *_: [Outcome(one.case, "failed", "idle") for one in group])
    rows = compare(
        [Scan()],
        ["gru", LSTM(), LSTM(forget_bias=0.0), ("mine", LSTM(forget_bias=2.0)), f"{own_module}:ready"],
        SHAPES[1:],
        task="forward",
        rounds=1,
    )
    assert [row["case"]["cell"] for row in rows] == ["gru", "lstm", "LSTM", "mine", f"{own_module}:ready"]
    assert {(row["case"]["batch"], row["case"]["time"]) for row in rows} == {(4, 2)}


@pytest.mark.slow
def test_the_same_name_is_measured_anew():
    """What is compiled is kept by cell and recurrence, and not by their names."""
    (_, right), (wrong, _) = (
        compare([("mine", recurrence)], ["elman"], SHAPES[:1], rounds=1) for recurrence in (Chunked(1), Wrong())
    )
    assert (right["status"], wrong["status"]) == ("measured", "wrong")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], ["lstm"], SHAPES), "recurrences: expected at least one, got none"),
        (([Scan()], [], SHAPES), "cells: expected at least one, got none"),
        (
            ([Scan()], [LSTM(forget_bias=0.0), LSTM(forget_bias=2.0)], SHAPES),
            "cells: expected different names, got LSTM",
        ),
        (([Scan()], ["lstn"], SHAPES), "cell: expected one of elman, "),
        (([Scan()], [LSTM], SHAPES), "cells: expected Cell objects or names of cells, got <class"),
        ((["scan"], ["lstm"], SHAPES), "recurrences: expected Recurrence objects, got 'scan'"),
        (([Scan], ["lstm"], SHAPES), "recurrences: expected Recurrence objects, got <class"),
        ((Scan(), ["lstm"], SHAPES), "recurrences: expected a sequence, got Scan"),
        (([Scan()], "lstm", SHAPES), "cells: expected a sequence, got 'lstm'"),
        (([Scan()], ["lstm"], []), "shapes: expected at least one, got none"),
        (([Scan()], ["lstm"], ["2x3"]), "shapes: expected BxTxIxH"),
        (([Scan()], ["lstm"], ["3x3x2x4"]), "shapes: expected batches that 2 devices can share, got 3"),
    ],
)
def test_what_cannot_be_compared(arguments, message):
    with pytest.raises(ValueError, match=message):
        compare(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 0}, "rounds: expected at least 1, got 0"),
        ({"task": "backward"}, "task: expected one of .*, got 'backward'"),
        ({"dtype": "float64"}, "dtype: expected one of .*, got 'float64'"),
    ],
)
def test_options_that_are_not_known(options, message):
    with pytest.raises(ValueError, match=message):
        compare([Scan()], ["lstm"], SHAPES, **options)


FURTHER = ("mgu", "indrnn", "layer-norm-lstm", "multiplicative-lstm", "slstm", "cornn", "lstmp")
FURTHER += ("para-gru", "para-lstm")


# A quick run has two whose states differ from the others'.
@pytest.mark.slow
@pytest.mark.parametrize("name", FURTHER)
def test_every_cell_of_the_library_gives_the_reference_numbers(name):
    (row,) = compare([Scan()], [name], ["2x3x2x4"], task="gradient", rounds=1)
    assert (row["status"], row["reason"]) == ("measured", None)
    assert 0 < max(row["deviation"].values()) < 1e-5


@pytest.mark.slow
def test_the_commands_take_an_own_cell_and_its_rows_are_read_without_it(own_module, tmp_path, monkeypatch, capsys):
    path = tmp_path / "rows.jsonl"
    sizes = ["--times", "3", "--batches", "2", "--hiddens", "2", "--input", "2", "--rounds", "1", "--devices", "2"]
    names = [f"{own_module}:Mine", f"{own_module}:ready"]
    throughput.main([*sizes, "--rows", str(path), "--recurrences", "Scan()", "--cell", *names])
    outcomes = [from_row(json.loads(line))[0] for line in path.read_text().splitlines()]
    assert [(outcome.case.cell, outcome.status) for outcome in outcomes] == [(name, "measured") for name in names]
    del sys.modules[own_module]
    (tmp_path / f"{own_module}.py").unlink()
    monkeypatch.setattr(throughput_report, "save_figure", lambda *_: None)
    report.main([str(path)])
    assert f"### {names[0]}, train" in capsys.readouterr().out
    assert own_module not in sys.modules


def test_a_peer_without_the_cell_is_a_row_that_says_so(own_module):
    options = Comparison(
        cells=(f"{own_module}:ready",),
        shapes=("2x3x2x4",),
        tasks=("inference",),
        peers=("flax", "rnnjax-scan"),
        rounds=1,
    )
    flax, ours = compare_peers(options)
    assert flax["reason"] == "no such cell: this comparison has no cell of flax that computes the same"
    assert (ours["peer"], ours["cell"]) == ("rnnjax-scan", f"{own_module}:ready")
    assert ours["deviation"] < 2e-5


def test_help_lists_the_cells(capsys):
    with pytest.raises(SystemExit):
        throughput.main(["--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert all(name in text for name in (*ALL_CELLS, "package.module:Name", "--cell"))
