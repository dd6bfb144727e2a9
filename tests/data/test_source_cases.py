"""The table of files as users have them: each is read as it is meant, or refused by name; a guess is said."""

import re
import warnings

import pytest
from source_cases import CASES

from rnnjax.data import TextFormat, load_source, load_texts


def load(case, folder):
    """(The parts of a case by name, the warnings of reading it)."""
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    is_folder = len(case.files) > 1 or "train" in next(iter(case.files))
    path = folder if is_folder else folder / next(iter(case.files))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        source = load_source(str(path), *case.columns, given=TextFormat(**case.options))
    parts = {name: getattr(source, name) for name in ("train", "validation", "test")}
    rows = {
        name: [(text, source.classes[label]) for text, label in zip(*part, strict=True)]
        for name, part in parts.items()
        if part is not None
    }
    return rows, [str(warning.message) for warning in said]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_file_as_users_have_it(case, tmp_path, caplog):
    if case.error:
        with caplog.at_level("CRITICAL"), pytest.raises((ValueError, FileNotFoundError), match=re.escape(case.error)):
            load(case, tmp_path)
        return
    rows, said = load(case, tmp_path)
    assert rows == case.rows
    assert len(said) == len(case.said)
    for message, want in zip(said, case.said, strict=True):
        assert want in message
        assert str(tmp_path) in message


def test_every_kind_has_a_report():
    reports = {case.kind: "" for case in CASES.values() if not case.report} | {
        case.kind: case.report for case in CASES.values() if case.report
    }
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", report) for kind, report in reports.items() if kind != "compressed")


def test_texts_without_labels_are_read_in_the_same_way(tmp_path):
    (tmp_path / "train.csv").write_bytes("text;more\nschön;1\n;2\n".encode("latin-1"))
    (tmp_path / "dev.txt").write_text("a line\nanother one\n")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        parts = load_texts(str(tmp_path), given=TextFormat(skip_bad=True))
    assert {part: list(texts) for part, texts in parts.items()} == {
        "train": ["schön"],
        "validation": ["a line", "another one"],
    }
    messages = [str(warning.message) for warning in said]
    assert [next(word for word in ("cp1252", "';'", "1 of 2 rows") if word in message) for message in messages] == [
        *("cp1252", "';'"),
        "1 of 2 rows",
    ]
