"""Static columns: what their features are by hand, and what is wrong with a column or a value."""

import numpy as np
import pytest

from rnnjax.data.series import Series
from rnnjax.data.static import StaticColumn, static_columns, static_features


def series_of(*static):
    return Series("one", np.zeros(3, "datetime64[s]"), np.zeros(3), np.empty((3, 0)), static=static)


def test_a_text_is_one_hot_and_a_number_is_scaled():
    sizes = [3.5, -1.0, 4.0, 1e3]
    all_series = [series_of(region, str(size)) for region, size in zip("babc", sizes, strict=True)]
    columns = static_columns(["region", "size"], all_series)
    assert columns[0] == StaticColumn("region", ("a", "b", "c"))
    assert [column.features for column in columns] == [3, 1]
    for series, region, size in zip(all_series, [1, 0, 1, 2], sizes, strict=True):
        wanted = [*np.eye(3)[region], (size - np.mean(sizes)) / np.std(sizes)]
        np.testing.assert_allclose(static_features(columns, series), wanted, rtol=1e-12)
    # Other series: another number, but no other text.
    np.testing.assert_allclose(static_features(columns[1:], series_of("0"))[0], -np.mean(sizes) / np.std(sizes))
    assert static_features((), series_of()).shape == (0,)


def test_what_is_wrong_with_a_value():
    region, size = static_columns(["region", "size"], [series_of("a", "1"), series_of("b", "2")])
    with pytest.raises(ValueError, match=r"column 'region' as in training, \['a', 'b'\], got 'c' for 'one'"):
        static_features([region], series_of("c"))
    for word in ("large", "inf"):
        with pytest.raises(ValueError, match=f"a number in column 'size', as in training, got '{word}' for 'one'"):
            static_features([size], series_of(word))


@pytest.mark.parametrize("words", [["a", "a"], ["1", "1.0"], ["7"]])
def test_a_column_that_tells_no_series_from_another(words):
    with pytest.raises(ValueError, match=rf"that differs between series, got '{words[0]}' for all of them in 'size'"):
        static_columns(["size"], [series_of(word) for word in words])


def test_too_many_texts():
    with pytest.raises(ValueError, match="at most 1,000 texts in column 'who', got 1,001"):
        static_columns(["who"], [series_of(f"w{number}") for number in range(1_001)])
