"""Plain lines `text<TAB>label`: only a newline ends a line and only the last tab splits it; all else is text."""

import re

import pytest

from rnnjax.data import LabelledTexts, load_source

LINES = {
    "quotes": ('He said "no" and left."', "0"),
    "a quote that opens": ('"Best burger in town.', "1"),
    "NEL": ("Crust\x85is not good\x85", "0"),
    "other separators": ("a\u2028b\x0cc\x1cd", "1"),
    "tabs": ("two\ttabs\there", "0"),
    "words of missing values": ("NA", "1"),
}


def test_a_line_is_text_up_to_its_last_tab(tmp_path):
    path = tmp_path / "sentences.txt"
    path.write_bytes("".join(f"{text}\t{label}\n" for text, label in LINES.values()).encode())
    texts, labels = zip(*LINES.values(), strict=True)
    assert load_source(str(path)).train == LabelledTexts(list(texts), [int(label) for label in labels])


@pytest.mark.parametrize(
    "content",
    [b"good\t1\nbad\t0", b"\xef\xbb\xbfgood\t1\r\nbad\t0\r\n", b"text\tlabel\ngood\t1\nbad\t0\n"],
    ids=["no last newline", "byte order mark and CRLF", "header"],
)
def test_the_same_rows(tmp_path, content):
    path = tmp_path / "sentences.txt"
    path.write_bytes(content)
    assert load_source(str(path)).train == LabelledTexts(["good", "bad"], [1, 0])


def test_only_the_columns_names_are_a_header(tmp_path):
    path = tmp_path / "sentences.txt"
    path.write_text("Review\tLiked\ngood\t1\nbad\t0\n")
    with pytest.raises(ValueError, match=r"row 1: expected a label of \['0', '1'\] in column 'label', got 'Liked'"):
        load_source(str(path), classes=("0", "1"))
    assert load_source(str(path), "Review", "Liked").train == LabelledTexts(["good", "bad"], [1, 0])


BAD_LINES = {
    "no tab": ("good\t1\nbad 0\n", ", line 2: expected a text, a tab and a label, got 'bad 0'"),
    "blank line": ("good\t1\n\nbad\t0\n", ", line 2: expected a text, a tab and a label, got ''"),
    "no label": ("good\t1\nbad\t\nfair\t0\n", ", row 2: expected a label of ['0', '1'] in column 'label', got ''"),
    "no text": ("good\t1\n\t0\n", ", row 2: expected a text in column 'text', got ''"),
    "header only": ("text\tlabel\n", ": expected at least one row, got none"),
    "nothing": ("", ": expected at least one row, got an empty file"),
    "not UTF-8": (b"good\xff\t1\n", ": expected UTF-8, got an invalid byte near offset 4"),
}


@pytest.mark.parametrize(("content", "message"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_is_named(tmp_path, content, message):
    path = tmp_path / "sentences.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_source(str(path))
    assert str(caught.value).startswith(str(path))


def test_a_tsv_whose_raw_quotes_swallow_lines_is_an_error(tmp_path):
    path = tmp_path / "sentences.tsv"
    path.write_text('text\tlabel\nfine\t1\n"Awful place\t0\ngood food\t1\nbad"\t0\n"two\nlines"\t1\n')
    with pytest.raises(ValueError, match=r"row 2: expected quote marks only around whole fields, got .* in \.txt"):
        load_source(str(path))
