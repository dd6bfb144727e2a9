"""Quote marks in separated files, on random texts: what is written by the rules is not changed."""

import csv
import re
import warnings

import pytest
from fuzz import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnjax.data.layouts import first_line
from rnnjax.data.quoting import with_usual_quotes

# Texts of several lines, with quote marks, separators and backslashes; lines end as files of any system have them.
SIGNS = 'a"\\,;\t\n '
TABLES = st.lists(st.tuples(st.text(st.sampled_from(SIGNS), max_size=8), st.sampled_from("01")), min_size=1, max_size=5)


def written(path, rows, **options):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, **options).writerows([("text", "label"), *rows])
    return path


def read(path, separator=","):
    """(The rows as a strict reader has them after the quote marks were made usual, the warnings)."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        plain, layout = with_usual_quotes(path, path, path.suffix, first_line(path, separator))
    with plain.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter=separator, strict=True, **layout.dialect))
    return [tuple(row) for row in rows[1:]], [str(warning.message) for warning in said]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("quotes")


@settings(max_examples=at_most(200))
@given(rows=TABLES, quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), separator=st.sampled_from(",;"))
def test_files_by_the_rules_are_not_changed(folder, rows, quoting, separator):
    path = written(folder / "a.csv", rows, quoting=quoting, delimiter=separator)
    found, said = read(path, separator)
    assert found == rows
    assert all("a quote mark may be unmatched" in message for message in said)


@settings(max_examples=at_most(200))
@given(rows=TABLES)
def test_tabs_by_the_rules_are_not_changed_or_said(folder, rows):
    rows = [(text.replace("\t", " "), label) for text, label in rows]  # a line of such a text could be a row
    found, said = read(written(folder / "a.tsv", rows, delimiter="\t"), "\t")
    assert (found, said) == (rows, [])


@settings(max_examples=at_most(200))
@given(rows=TABLES)
def test_quote_marks_after_a_backslash_are_those_of_the_texts(folder, rows):
    # Without line ends: such files can also be read without escapes.
    rows = [(re.sub(r"\\|\n", "", text), label) for text, label in rows]
    path = written(folder / "a.csv", rows, quoting=csv.QUOTE_ALL, doublequote=False, escapechar="\\")
    found, said = read(path)
    assert found == rows
    assert said or not any('"' in text for text, _ in rows)


@settings(max_examples=at_most(200))
@given(rows=TABLES)
def test_single_quote_marks_are_those_of_the_texts_or_an_error(folder, rows):
    rows = [(re.sub('"+', '"', text.replace("\n", "")).strip(), label) for text, label in rows]
    path = folder / "a.csv"
    path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows))
    message = ""
    try:
        found, said = read(path)
    except ValueError as error:
        message, found, said = str(error), rows, []
    assert not message or "expected quote marks around fields" in message
    if any("have their own quote marks once" in text for text in said):
        assert found == rows
    assert message or said or found == rows or any('"' in text for text, _ in rows)
