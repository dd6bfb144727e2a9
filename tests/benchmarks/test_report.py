"""The report of measured rows: tables and figures of all three benchmarks, and files that hold no rows."""

import functools
import json

import pytest
from matplotlib.image import imread

from benchmarks import report, throughput
from benchmarks.epochs import table as epoch_table
from benchmarks.peers import tables as peers_tables
from benchmarks.recurrences.cases import from_row
from benchmarks.recurrences.figures import throughput_figure
from rnnjax.commands import run

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Rows of two recurrences at two lengths, and of one that was not compiled."""
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    sizes = ["--batches", "2", "--hiddens", "2", "--input", "2", "--rounds", "2", "--devices", "2"]
    recurrences = ["--recurrences", "Scan()", "Unrolled()"]
    throughput.main([*sizes, *recurrences, "--times", "2", "4", "--compile-limit", "4", "--rows", str(path)])
    return path


@pytest.mark.slow
def test_tables_and_figures_of_throughput(measured, tmp_path, capsys):
    report.main([str(measured), "--out", str(tmp_path)])
    text = (tmp_path / report.REPORT).read_text()
    assert capsys.readouterr().out.strip() == text.strip()
    assert "### lstm, train, float32, B=2 I=2 H=2" in text
    lines = [line for line in text.splitlines() if line.startswith(("| 2 |", "| 4 |"))]
    assert [line.split(" | ")[1] for line in lines] == ["`Scan()`", "`Unrolled()`", "`Scan()`", "`Unrolled()`"]
    assert lines[-1].endswith("| not compiled: a graph of 4 steps (--compile-limit 4) |")
    assert "1.00 (1.00 to 1.00)" in lines[0]
    assert "- command: `python -m benchmarks.throughput" in text
    (figure,) = tmp_path.glob("*.png")
    assert f"]({figure.name})" in text
    assert imread(figure).std() > 0.05


@pytest.mark.slow
def test_a_figure_draws_the_rows_numbers(measured):
    outcomes = [from_row(json.loads(line))[0] for line in measured.read_text().splitlines()]
    figure = throughput_figure("title", outcomes)
    assert [axes.get_ylabel().split()[0] for axes in figure.axes] == ["tokens", "step", "compile", "temporary"]
    drawn = {bars.get_label(): bars.lines[0].get_ydata() for bars in figure.axes[0].containers}  # pyright: ignore[reportAttributeAccessIssue]
    want = {
        name: [
            outcome.speed.tokens_per_second
            for outcome in sorted(outcomes, key=lambda outcome: outcome.case.time)
            if outcome.case.recurrence == name and outcome.speed is not None
        ]
        for name in ("Scan()", "Unrolled()")
    }
    assert {name: pytest.approx(values) for name, values in want.items()} == {
        name: list(values) for name, values in drawn.items()
    }
    assert [len(values) for values in want.values()] == [2, 1]


def test_rows_of_the_other_benchmarks_are_rendered_by_their_own_tables(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(peers_tables, "markdown", lambda some: f"{len(some)} of peers")
    monkeypatch.setattr(epoch_table, "report", lambda some: f"{len(some)} of epochs")
    path = tmp_path / "rows.jsonl"
    path.write_text('{"benchmark": "peers"}\n{"benchmark": "epoch"}\n{"benchmark": "peers"}\n')
    report.main([str(path)])
    assert [line for line in capsys.readouterr().out.splitlines() if line] == [
        "# Peers",
        "2 of peers",
        "# Epoch",
        "1 of epochs",
    ]
    assert (tmp_path / "rows-report" / report.REPORT).exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "rows: expected a file, got"),
        ("", "expected rows, got none"),
        ("nonsense\n", "line 1: expected JSON, got"),
        ('{"benchmark": "other"}\n', "expected rows of a benchmark (throughput, peers, epoch), got other"),
        ('{"benchmark": "throughput"}\n', "expected a row of the benchmark throughput"),
    ],
)
def test_files_without_rows_are_one_line(content, message, tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SystemExit):
        run(report.PROGRAM, functools.partial(report.main, [str(path)]))
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
