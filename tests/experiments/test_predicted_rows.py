"""`predict --source --output`: the rows of a file with their predictions, and classes that are compared by value."""

import csv
import datetime
import json
import warnings

import datasets
import numpy as np
import pytest
from complaints import complaint_of
from small_runs import NETWORK, TWO
from tiny_reviews import write_reviews

from experiments.sentiment import __main__ as sentiment
from experiments.sentiment import train as training
from experiments.sentiment.predictions import logs_over
from experiments.sentiment.trained import open_run
from rnnjax.training import batch_mesh

SIZES = ["--hidden", "4", "--batch-size", "20", "--buckets", "1", "--longest", "20"]
TEXTS = ["a lovely film", 'an "awful", awful plot', "fine\nand warm", "dull über 7"]
DATES = ["2020-01-31", "2020-01-31 14:00:00", "2020-02-29", "1999-12-31"]
IDS = ["007", "8", "NA", "1e5"]


@pytest.fixture(scope="module")
def run_of_floats(tmp_path_factory):
    """The folder of a run whose labels are 1.0 to 3.0, with one further row of class 9.0, which is left out."""
    path = tmp_path_factory.mktemp("floats")
    source = write_reviews(path / "a.csv", 90, 0, ("1.0", "2.0", "3.0"), (["dull"], ["fair"], ["fine"]))
    source.write_text(source.read_text() + "odd,9.0\n")
    options = ["--source", str(source), "--run-folder", str(path / "run"), "--epochs", "1", "--min-class-rows", "2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "draw", lambda *_: None)  # a second for each figure
        with pytest.warns(UserWarning, match=r"fewer than 2 training rows left out, with the rows of each: '9' \(1\)"):
            sentiment.main(["smoke", *NETWORK, *SIZES, *TWO, *options])
    return path / "run"


def test_a_run_keeps_the_names_of_its_classes_by_value(run_of_floats, tmp_path, capsys):
    assert json.loads((run_of_floats / "config.json").read_text())["classes"] == ["1", "2", "3"]
    printed = {}
    for name, labels in {"floats": ("3.0", "2.0", "1.0"), "integers": (3, 2, 1), "words": ("3", " 2", "01")}.items():
        other = write_reviews(tmp_path / f"{name}.csv", 30, 1, labels, (["fine"], ["fair"], ["dull"]))
        sentiment.main(["evaluate", str(run_of_floats), "--source", str(other), *TWO])
        printed[name] = capsys.readouterr().out.split("\n", 1)[1]
    assert printed["floats"] == printed["integers"] == printed["words"]
    other = write_reviews(tmp_path / "other.csv", 30, 1, (0, 1, 2), (["fine"], ["fair"], ["dull"]))
    error = complaint_of(sentiment, capsys, "evaluate", run_of_floats, "--source", other, *TWO)[1]
    assert "row 1: expected a label of ['1', '2', '3'] in column 'label', got '0'" in error


def probabilities(run):
    return np.exp(logs_over(open_run(run), TEXTS, batch_mesh(1)))


def source(path):
    """A file with the texts and two further columns, and the names of its columns."""
    columns = {"id": IDS, "text": TEXTS, "score": ["0.50", "", "-1", "True"], "date": DATES}
    rows = datasets.Dataset.from_dict(columns)
    if path.suffix == ".jsonl":
        rows.to_json(path)
    elif path.suffix == ".parquet":
        rows.to_parquet(path)
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter=";").writerows([columns, *zip(*columns.values(), strict=True)])
    return path


def read(path):
    """The rows of an output file."""
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return datasets.Dataset.from_parquet(str(path)).to_list()


@pytest.mark.parametrize("output", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_rows_keep_their_other_columns(run_of_floats, tmp_path, capsys, suffix, output):
    path = tmp_path / "new" / f"out{output}"
    arguments = ["--source", str(source(tmp_path / f"in{suffix}")), "--output", str(path)]
    arguments += ["--separator", ";"] if suffix == ".csv" else []
    sentiment.main(["predict", str(run_of_floats), *arguments])
    assert capsys.readouterr().out == f"4 rows with predictions written to {path}\n"
    want, rows = probabilities(run_of_floats), read(path)
    assert [row["id"] for row in rows] == IDS
    assert [row["text"] for row in rows] == TEXTS
    assert [row["score"] for row in rows] == ["0.50", "", "-1", "True"]
    assert [row["date"] for row in rows] == DATES
    assert [row["prediction"] for row in rows] == [str(number + 1) for number in want.argmax(axis=1)]
    got = [[float(row[f"probability_{name}"]) for name in ("1", "2", "3")] for row in rows]
    np.testing.assert_array_equal(got, want)
    assert list(rows[0]) == ["id", "text", "score", "date", "prediction", *(f"probability_{name}" for name in "123")]


VALUES = {
    "text": ["fine", "dull"],
    "count": [2**60 + 1, None],
    "score": [1 / 3, float("nan")],
    "right": [True, False],
    "date": [datetime.datetime(2020, 1, 31, 14, 0, 0, 123000), None],
    "parts": [[0.1, 2.0], []],
    "source": [{"name": "\u00fcber", "rows": [1, None]}, None],
    "prediction": ["x", "y"],
    "earlier_prediction": [1, 2],
}


# Integers stay so beside a missing one; lists and objects are in JSON.
CSV_VALUES = {
    "count": [str(2**60 + 1), ""],
    "score": [repr(1 / 3), ""],
    "right": ["True", "False"],
    "date": ["2020-01-31 14:00:00.123", ""],
    "parts": ["[0.1, 2.0]", "[]"],
    "source": ['{"name": "\u00fcber", "rows": [1, null]}', ""],
    "earlier_prediction": ["1", "2"],
}


@pytest.mark.parametrize("output", [".csv", ".jsonl", ".parquet"])
def test_values_of_any_type_are_kept(run_of_floats, tmp_path, output):
    rows = datasets.Dataset.from_dict(VALUES)
    rows.to_parquet(tmp_path / "in.parquet")
    path = tmp_path / f"out{output}"
    arguments = ["--source", str(tmp_path / "in.parquet"), "--output", str(path)]
    with pytest.warns(
        UserWarning, match="column 'prediction' of the source is written as 'earlier_earlier_prediction'"
    ):
        sentiment.main(["predict", str(run_of_floats), *arguments])
    got = read(path)
    names = [*VALUES, *(f"probability_{name}" for name in "123")]
    assert {*got[0]} == {*names, "earlier_earlier_prediction"}
    assert [row["prediction"] in "123" for row in got] == [True, True]
    for name in VALUES.keys() - {"prediction", "text"}:
        written = [row[name] for row in got]
        if output == ".csv":
            want = CSV_VALUES[name]
        elif output == ".jsonl":
            want = ["2020-01-31T14:00:00.123000", None] if name == "date" else VALUES[name]
            want = [1 / 3, None] if name == "score" else want
        else:
            want = rows[name][:]
        assert repr(written) == repr(want)


def test_predictions_of_a_file_of_predictions(run_of_floats, tmp_path):
    (tmp_path / "0.csv").write_text("id,text\n7,fine\n8,dull\n")
    for number in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            paths = ["--source", str(tmp_path / f"{number}.csv"), "--output", str(tmp_path / f"{number + 1}.csv")]
            sentiment.main(["predict", str(run_of_floats), *paths])
    rows = read(tmp_path / "3.csv")
    for name in ("prediction", "probability_1", "probability_2", "probability_3"):
        same = [[row[f"{earlier}{name}"] for row in rows] for earlier in ("", "earlier_", "earlier_earlier_")]
        assert same[0] == same[1] == same[2]
    assert len(rows[0]) == 2 + 3 * 4


def test_rows_without_a_text_are_left_out_and_counted(run_of_floats, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("id,text\n1,fine\n2,\n3,dull\n")
    arguments = ["predict", str(run_of_floats), "--source", str(path), "--skip-bad", "--output"]
    with pytest.warns(UserWarning, match="1 of 3 rows left out, which lack a text or label: 2"):
        sentiment.main([*arguments, str(tmp_path / "out.csv")])
    assert [row["id"] for row in read(tmp_path / "out.csv")] == ["1", "3"]


def test_a_source_is_printed_without_an_output(run_of_floats, tmp_path, capsys):
    path = tmp_path / "in.txt"
    path.write_text("fine film\ndull film\n")
    sentiment.main(["predict", str(run_of_floats), "--source", str(path)])
    from_file = capsys.readouterr().out
    sentiment.main(["predict", str(run_of_floats), "fine film", "dull film"])
    assert from_file == capsys.readouterr().out


def test_what_cannot_be_written_is_said_first(run_of_floats, tmp_path, capsys):
    path, taken = tmp_path / "in.csv", tmp_path / "taken.csv"
    path.write_text("text\nfine\n")
    taken.write_text("keep")

    def complaint(*arguments):
        return complaint_of(sentiment, capsys, "predict", run_of_floats, *arguments)[1]

    assert "output: expected a source with it, got none" in complaint("--output", taken)
    assert "source: expected none with texts, got 'a.csv'" in complaint("a film", "--source", "a.csv")
    assert "output: expected a file of type .csv, .jsonl, .parquet, got 'out.xls'" in complaint(
        "--source", path, "--output", tmp_path / "out.xls"
    )
    assert "output: expected a new path, got " in complaint("--source", path, "--output", taken)
    assert taken.read_text() == "keep"
    assert "none.csv: expected a file, found none" in complaint("--source", tmp_path / "none.csv")
