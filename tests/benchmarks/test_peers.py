"""The comparison with peers: equal numbers, wrong ones caught before they are timed, rows, tables and bad options."""

import functools
import json
import sys

import jax
import numpy as np
import pytest

from benchmarks.numbers import reference
from benchmarks.peers import comparison
from benchmarks.peers import peer as shared
from benchmarks.peers.__main__ import compare_and_report, main
from benchmarks.peers.catalogue import PEERS, Peer, is_ours
from benchmarks.peers.comparison import TOLERANCE, Comparison, checked_tasks, compare, timed
from benchmarks.peers.peer import Entrant, expected_answer, make_problem
from benchmarks.peers.tables import markdown
from benchmarks.timing import PEAK, matrix_product
from benchmarks.work import Shape
from rnnjax.cells.names import ALL_CELLS

pytestmark = pytest.mark.usefixtures("quick_compile")

TINY = Shape(batch=2, time=3, input=2, hidden=4)
# A projection has fewer features than the cell.
WIDE = Shape(batch=2, time=3, input=2, hidden=66)
TASKS = ("inference", "train")
# Every map of weights once: rnnjax has none, and Flax's optimized cell has that of LSTMCell.
MAPPED = [(name, cell) for name in ("flax", "keras", "haiku", "equinox", "torch") for cell in PEERS[name].titles]


@pytest.fixture(scope="module")
def cases(quick_compile):
    """A cell's problem and its float64 answers, by the cell's name."""

    @functools.cache
    def case(cell):
        problem = make_problem(cell, WIDE if cell == "lstmp" else TINY)
        return problem, expected_answer(problem, reference(problem.cell, problem.shape))

    return case


@pytest.mark.quick("flax-gru", "rnnjax-lstm")
@pytest.mark.parametrize(("name", "cell"), [("rnnjax", "lstm"), ("rnnjax", "lstmp"), ("rnnjax", "indrnn"), *MAPPED])
def test_a_peer_gives_the_outputs_and_gradients_of_the_reference(cases, name, cell):
    if name == "torch":
        pytest.importorskip("torch", reason="PyTorch is in no extra")
    problem, expected = cases(cell)
    checked = checked_tasks(name, problem, expected, TASKS)
    assert not isinstance(checked, str), checked
    answers = {**checked["inference"].answer, **checked["train"].answer}
    assert jax.tree.structure(answers) == jax.tree.structure(expected)
    assert jax.tree.structure(expected["weights"]) == jax.tree.structure(problem.weights)
    assert min(np.abs(array).max() for array in jax.tree.leaves(expected)) > 1e-3
    assert max(each.deviation for each in checked.values()) < TOLERANCE / 10
    checked["train"].call()  # a further step, from where the first one ended


def test_every_cell_is_there_or_its_lack_has_a_reason():
    for name, peer in PEERS.items():
        for cell in ("lstm", "gru", "elman", "mgu", "benchmarks.own:Cell"):
            assert (peer.title(cell) is None) != (peer.lack(cell) is None)
            assert (peer.lack(cell) is None) or not is_ours(name)
    assert PEERS["flax"].lack("mgu") == "this comparison has no cell of flax that computes the same"
    assert PEERS["rnnjax"].title("mgu") == "rnnjax `RNN(cell, H)`"


def test_variants_differ_in_their_devices():
    problem = make_problem("elman", Shape(batch=3, time=2, input=2, hidden=2))
    assert PEERS["rnnjax"].load()(problem, "inference").devices == 1  # no more of them divide a batch of 3
    problem = make_problem("elman", TINY)
    assert [PEERS[name].load()(problem, "inference").devices for name in ("rnnjax", "rnnjax-one-device")] == [2, 1]


class Stub(Peer):
    """A peer that needs no library: right but for what is added to one of its arrays."""

    def load(self):
        (expected, spoilt, called) = self.arguments

        def build(problem, task):
            names = ["last"] if task == "inference" else [name for name in expected if name != "last"]
            amount = {name: 1e-3 if name == spoilt else 0 for name in names}
            answer = {name: jax.tree.map(lambda leaf, name=name: leaf + amount[name], expected[name]) for name in names}
            return Entrant(lambda: called.append(task), answer)

        return build


def stub(monkeypatch, expected, spoilt=""):
    """Puts a stub in Flax's place; the list that it gives grows with each timed call."""
    called = []
    monkeypatch.setattr(comparison, "expected_answer", lambda problem, answers: expected)
    monkeypatch.setitem(PEERS, "flax", Stub(*PEERS["flax"])._replace(arguments=(expected, spoilt, called)))
    return called


OPTIONS = Comparison(cells=("lstm",), shapes=("2x3x2x4",), peers=("flax",), rounds=1)


@pytest.mark.parametrize(("spoilt", "what"), [("last", "outputs"), ("weights", "gradients")])
def test_wrong_numbers_are_caught_before_they_are_timed(cases, monkeypatch, tmp_path, capsys, spoilt, what):
    called = stub(monkeypatch, cases("lstm")[1], spoilt)
    with pytest.raises(ValueError, match="2 of 2 rows are wrong: flax"):
        compare_and_report(Comparison(**{**vars(OPTIONS), "rows": tmp_path / "rows.jsonl"}))
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["task"] for row in rows] == ["train", "inference"]
    assert all(row["reason"].startswith(f"wrong: expected {what} within 2e-05 of the float64") for row in rows)
    assert not called
    assert rows[0]["reason"] in capsys.readouterr().out


def test_right_numbers_are_timed(cases, monkeypatch):
    called = stub(monkeypatch, cases("lstm")[1])
    monkeypatch.setattr(comparison, "matrix_product", lambda: (lambda: None, 1.0))
    rows = list(compare(OPTIONS))
    assert [row["deviation"] for row in rows] == [0, 0]
    assert called == ["train", "train", "inference", "inference"]  # once untimed, and one round


def test_a_peer_that_is_not_installed_says_how(cases, monkeypatch):
    monkeypatch.delitem(sys.modules, "benchmarks.peers.haiku", raising=False)
    monkeypatch.setitem(sys.modules, "haiku", None)
    problem, expected = cases("lstm")
    assert checked_tasks("haiku", problem, expected, TASKS) == "not installed: pip install '.[peers]'"
    problem, expected = cases("gru")
    reason = checked_tasks("haiku", problem, expected, TASKS)
    assert reason == "no such cell: `hk.GRU` is another function: its reset gate comes before the product"


def test_what_does_not_fit_in_memory_is_a_reason(cases, monkeypatch):
    monkeypatch.setattr(shared, "MEMORY_SHARE", 0.0)
    problem, expected = cases("lstm")
    reason = checked_tasks("rnnjax-one-device", problem, expected, ("train",))
    assert isinstance(reason, str)
    assert reason.startswith("failed: MemoryError: expected at most 0% of this machine's ")


def test_ratios_are_those_of_one_round(cases, monkeypatch):
    seconds = {
        "rnnjax": np.array([1.0, 4.0, 3.0]),
        "flax": np.array([2.0, 4.0, 4.0]),
        "keras": np.array([9.0, 9.0, 1.0]),
        PEAK: np.array([0.5, 0.5, 9.0]),
    }
    monkeypatch.setattr(comparison, "interleaved", lambda calls, rounds, watch: {name: seconds[name] for name in calls})
    monkeypatch.setattr(comparison, "matrix_product", lambda: (lambda: None, 1000.0))
    entrants = {name: Entrant(lambda: None, {}) for name in ("rnnjax", "flax", "keras")}
    ours, flax, keras = timed(cases("lstm")[0], "train", entrants, 3, lambda done: None)
    # Quartiles of (1, 4, 3); of 1/2, 4/4, 3/4; of 1/9, 4/9, 3/1.
    assert ours["seconds"] == (2.0, 3.0, 3.5)
    assert flax["ours_to_this"] == ours["this_to_fastest"] == (0.625, 0.75, 0.875)
    assert keras["ours_to_this"].middle == pytest.approx(4 / 9)
    assert ours["fastest_peer"] == "flax"
    # Two products of (2, 2 + 4) by 16 at each of 3 steps, three times over: 3456 operations in 3 s.
    assert ours["flop_per_second"] == pytest.approx(3 * 2 * 2 * 3 * (2 + 4) * 16 / 3)
    assert ours["peak_share"] == pytest.approx(1152 / 2000)


def test_a_peer_with_threads_of_its_own_is_set_apart(cases, monkeypatch):
    heard = []

    def interleaved(calls, rounds, watch):
        heard.extend(calls)
        return {name: np.ones(rounds) for name in calls}

    monkeypatch.setattr(comparison, "interleaved", interleaved)
    entrants = {name: Entrant(lambda: None, {}, own_threads=name == "torch") for name in ("torch", "flax")}
    rows = timed(cases("lstm")[0], "inference", entrants, 1, lambda done: None)
    assert heard == ["before torch", "torch", "after torch", "flax", PEAK]
    assert [row["peer"] for row in rows] == ["torch", "flax"]


def test_rows_and_tables_of_a_small_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(comparison, "matrix_product", functools.partial(matrix_product, 64))
    path = tmp_path / "new" / "rows.jsonl"
    peers = ("rnnjax", "equinox", "rnnjax-one-device")
    compare_and_report(Comparison(("elman",), ("2x3x2x4",), ("inference",), peers, rounds=2, rows=path))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["peer"] for row in rows] == ["equinox", "rnnjax", "rnnjax-one-device"]
    assert {row["benchmark"] for row in rows} == {"peers"}
    assert rows[0]["environment"]["versions"]["equinox"]
    assert rows[0]["reason"] == "no such cell: Equinox has no such cell"
    assert rows[1]["ours_to_this"] == [1, 1, 1]
    assert min(rows[2][name] for name in ("flop_per_second", "compile_seconds", "temp_bytes")) > 0
    assert markdown(rows) in capsys.readouterr().out


def row(peer, time, **measured):
    sizes = {"cell": "lstm", "batch": 8, "time": time, "input": 32, "hidden": 128, "task": "train", "rounds": 5}
    return {**sizes, "peer": peer, "title": peer.title(), "layout": "batch-major", **measured}


def test_tables_by_hand():
    measured = {
        "deviation": 3e-7,
        "seconds": [0.1, 0.25, 0.3],
        "compile_seconds": 1.26,
        "temp_bytes": 12_340_000,
        "flop_per_second": 5e10,
        "peak_flop_per_second": 1e11,
        "peak_share": 0.5,
        "ours_to_this": [0.4, 0.5, 0.6],
        "fastest_peer": "flax",
        "this_to_fastest": [0.4, 0.5, 0.6],
    }
    uncompiled = {**measured, "compile_seconds": None, "temp_bytes": None}
    text = markdown(
        [row("torch", 10, reason="failed: MemoryError: none left"), row("flax", 1000, **measured),
         row("rnnjax", 10, **measured), row("torch", 1000, **uncompiled)]
    )  # fmt: skip
    lines = text.splitlines()
    overview = lines.index("| cell | task | B x T x I x H | rnnjax ms | of peak | / flax | / torch | / fastest |")
    assert lines[overview + 2] == "| lstm | train | 8 x 10 x 32 x 128 | 250 | 50% |  |  | 0.50 (flax) |"
    assert "**lstm, train, B=8 T=10 I=32 H=128: 5 rounds, matrix product 100 GFLOP/s**" in lines
    cells = "| batch-major | 250 (100 to 300) | 0.500 (0.400 to 0.600) | 50.0 | 50% | 1.3 | 12.3 | 3.0e-07 |"
    assert f"| Flax {cells}" in lines
    assert f"| Torch {cells}".replace("| 1.3 | 12.3 |", "|  |  |") in lines
    ours = lines.index(f"| Rnnjax {cells}")
    assert lines[ours + 1] == f"| Torch | batch-major |{'  |' * 6} failed: MemoryError: none left |"
    assert lines[ours + 3] == "- Rnnjax: 0.500 (0.400 to 0.600) of the time of the fastest peer, `flax`."
    growth = lines.index("**lstm, train, B=8 I=32 H=128: microseconds a step**")
    assert lines[growth + 2 :: 2][:2] == ["| peer | T=10 | T=1,000 |", "| Torch | failed | 250.0 |"]
    assert lines[growth + 5] == "| Flax |  | 250.0 |"
    assert "| Rnnjax | 12.3 |  |" in lines


def test_a_shape_is_four_sizes():
    assert Shape.parse("64x500x32x100") == Shape(batch=64, time=500, input=32, hidden=100)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--shapes", "64x500x32"],
            "shapes: expected BxTxIxH such as 64x500x32x100, each size at least 1, got '64x500x",
        ),
        (["--shapes", "64x500x0x100"], "each size at least 1, got '64x500x0x100'"),
        (["--peers", "flix"], "got 'flix'"),
        (["--peers", "flax", "flax"], "peers: expected each one once, got flax flax"),
        (["--rounds", "0"], "rounds: expected at least 1, got 0"),
        (["--cells", "lstn"], "cell: expected one of elman, "),
    ],
)
def test_bad_options_are_one_line(capsys, arguments, words):
    with pytest.raises((SystemExit, ValueError)) as stop:
        main(arguments)
    complaint = str(stop.value) if isinstance(stop.value, ValueError) else capsys.readouterr().err
    assert words in complaint
    assert complaint.strip().count("\n") == 0


def test_rows_that_cannot_be_written_stop_it_first(tmp_path):
    with pytest.raises(ValueError, match=r"rows: .*: expected a file, got a folder"):
        compare_and_report(Comparison(rows=tmp_path))


def test_help_names_presets_and_peers(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())  # as it was before it was put in boxes
    assert all(
        name in text
        for name in (
            *PEERS,
            *ALL_CELLS,
            "package.module:Name",
            "--cell",
            "long",
            "smoke",
            "standard",
            "pip install '.[peers]'",
        )
    )
    assert jax.device_count() == 2  # help starts nothing
