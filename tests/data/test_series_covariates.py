"""Columns that are known for the future, and static ones: what is read, and what is wrong with them."""

import numpy as np
import pytest

from rnnjax.data.series import Columns, read_series


def read(tmp_path, text, columns, **options):
    path = tmp_path / "file.csv"
    path.write_text(text)
    return read_series(path, columns, **options)


def message(tmp_path, text, **options):
    with pytest.raises(ValueError, match=r"file\.csv") as error:
        read(tmp_path, text, **options)
    return str(error.value)


KNOWN = "date,value,promo,price,kind\n2001-01-01,1,5,7,a\n2001-01-02,2,6,8,a\n2001-01-03,4,7,9,a\n"


@pytest.mark.parametrize(
    ("rest", "fill", "values", "known"),
    [
        ("", False, [1, 2, 4], [[5, 7], [6, 8], [7, 9]]),
        ("2001-01-04,,8,10,a\n2001-01-05,,9,11,a\n", False, [1, 2, 4], [[5, 7], [6, 8], [7, 9], [8, 10], [9, 11]]),
        # Up to the first date that lacks one of them, even where gaps are filled.
        (
            "2001-01-04,,8,10,a\n2001-01-05,,9,,a\n2001-01-06,,9,12,a\n",
            True,
            [1, 2, 4],
            [[5, 7], [6, 8], [7, 9], [8, 10]],
        ),
        (
            "2001-01-04,,8,10,a\n2001-01-05,7,9,11,a\n",
            True,
            [1, 2, 4, 4, 7],
            [[5, 7], [6, 8], [7, 9], [8, 10], [9, 11]],
        ),
        (
            "2001-01-04,3,,10,a\n2001-01-05,7,9,11,a\n",
            True,
            [1, 2, 4, 3, 7],
            [[5, 7], [6, 8], [7, 9], [7, 10], [9, 11]],
        ),
        ("2001-01-05,,9,11,a\n", True, [1, 2, 4], [[5, 7], [6, 8], [7, 9], [7, 9], [9, 11]]),
    ],
)
def test_columns_that_are_known_for_the_future(rest, fill, values, known, tmp_path):
    columns = Columns(known=("promo", "price"), static=("kind",))
    (series,) = read(tmp_path, KNOWN + rest, columns, fill=fill).series
    np.testing.assert_array_equal(series.values, values)
    assert len(series.dates) == len(values)
    np.testing.assert_array_equal(series.known, known)
    assert (series.static, series.extra.shape) == (("a",), (len(values), 0))


def test_each_column_of_values_ends_where_it_ends(tmp_path):
    text = "date,a,b,promo\n" + "".join(
        f"2001-01-0{t},{t if t < 5 else ''},{t if t < 4 else ''},{t}\n" for t in range(1, 7)
    )
    a, b = read(tmp_path, text, Columns(values=("a", "b"), known=("promo",))).series
    assert (a.values.tolist(), b.values.tolist()) == ([1, 2, 3, 4], [1, 2, 3])
    for one in (a, b):
        assert one.known.ravel().tolist() == [1, 2, 3, 4, 5, 6]


BAD_COVARIATES = {
    "known": (
        "2001-01-04,3,,9,a\n",
        "'value', 2001-01-04T00:00:00: expected a number in column 'promo', got ''; --fill",
    ),
    "word": ("2001-01-04,,much,9,a\n", "'value', 2001-01-04T00:00:00: expected a number in column 'promo', got 'much'"),
    "gap": ("2001-01-05,,8,9,a\n", "'value': expected dates 1 day apart, got none at 2001-01-04T00:00:00 (1 missing"),
    "no value": ("2001-01-04,,1,9,a\n2001-01-05,3,1,9,a\n", "2001-01-04T00:00:00: expected a number in column 'value'"),
    "changes": (
        "2001-01-04,3,8,9,b\n",
        "'value': expected one value in static column 'kind', got 'a' at 2001-01-01T00:00:00 and 'b' at 2001-01-04T",
    ),
    "future": (
        "2001-01-04,,8,9,b\n",
        "expected one value in static column 'kind', got 'a' at 2001-01-01T00:00:00 and 'b'",
    ),
    "no static": ("2001-01-04,3,8,9,\n", "'value', 2001-01-04T00:00:00: expected a value in column 'kind', got none"),
}


@pytest.mark.parametrize("name", BAD_COVARIATES)
def test_bad_covariates(name, tmp_path):
    rest, words = BAD_COVARIATES[name]
    found = message(tmp_path, KNOWN + rest, columns=Columns(known=("promo", "price"), static=("kind",)))
    assert words in found


def test_a_series_without_any_value(tmp_path):
    text = "date,value,promo\n" + "".join(f"2001-01-0{t},,{t}\n" for t in (1, 2, 3))
    for fill in (False, True):
        words = message(tmp_path, text, columns=Columns(known=("promo",)), fill=fill)
        assert (
            "'value': expected at least 3 dates to infer their frequency, got 0 with a value in column 'value'" in words
        )
