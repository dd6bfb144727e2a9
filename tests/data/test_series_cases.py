"""Files as users have them: read, refused with the option that helps, and whatever is assumed is said."""

import dataclasses

import numpy as np
import pytest
import series_cases
import series_clock_cases
import series_date_cases
import series_layout_cases
import series_number_cases

from rnnjax.data.series import Columns, Format, read_series

MODULES = (series_cases, series_clock_cases, series_date_cases, series_layout_cases, series_number_cases)
TABLES = [module.CASES for module in MODULES]
CASES = {name: case for table in TABLES for name, case in table.items()}


def words(date):
    return str(date).removesuffix("T00:00:00")


@pytest.mark.parametrize("name", CASES)
def test_files_as_users_have_them(name, tmp_path):
    case = CASES[name]
    path = tmp_path / f"file{case.suffix}"
    if isinstance(case.text, bytes):
        path.write_bytes(case.text)
    else:
        path.write_text(case.text)
    form = Format(**case.form)
    if case.error:
        with pytest.raises(ValueError, match=r"file\.") as error:
            read_series(path, case.columns, form, fill=case.fill)
        assert case.error in str(error.value)
        assert "\n" not in str(error.value)
        return
    table = read_series(path, case.columns, form, fill=case.fill)
    for series in table.series:
        assert f"{words(series.dates[0])} .. {words(series.dates[-1])}, {table.frequency}" == case.dates
        np.testing.assert_allclose(series.values, case.values, rtol=1e-15)
    assert case.note in "\n".join(table.notes)
    strict = dataclasses.replace(form, strict=True)
    if case.note:
        with pytest.raises(ValueError, match="expected nothing to assume"):
            read_series(path, case.columns, strict, fill=case.fill)
    else:  # at most what an option asks for is said
        assert read_series(path, case.columns, strict, fill=case.fill).notes == table.notes
    assert any("filled with the numbers before" in note for note in table.notes) == any(
        series.filled for series in table.series
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skip_lines": -1}, "skip_lines: expected 0 to 10000, got -1"),
        ({"century": 19}, "century: expected 1000 to 9900, got 19"),
        ({"century": 10**9}, "century: expected 1000 to 9900, got 1000000000"),
        ({"fill_limit": 0}, "fill_limit: expected at least 1, got 0"),
        ({"encoding": "utf-9"}, "encoding: expected a name such as utf-8, latin-1 or utf-16, got 'utf-9'"),
        (
            {"timezone": "Europe/Berln"},
            "timezone: expected a time zone such as .*, got 'Europe/Berln'; did you mean Eur",
        ),
        ({"timezone": "../etc/passwd"}, "timezone: expected a time zone such as Europe/Berlin, got '../etc/passwd'"),
        ({"timezone": ""}, "timezone: expected a time zone such as Europe/Berlin, got ''"),
    ],
)
def test_formats_that_are_none(options, message):
    with pytest.raises(ValueError, match=message):
        Format(**options)


@pytest.mark.parametrize("separator", [";;", '"', "\n", ""])
def test_separators_that_are_none(separator, tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("date,value\n")
    with pytest.raises(ValueError, match="separator: expected one character or tab, got"):
        read_series(path, Columns(), Format(separator=separator))


def test_every_kind_has_a_case_that_is_read_and_one_that_is_refused():
    for kind in {case.kind for case in CASES.values()}:
        assert {bool(case.error) for case in CASES.values() if case.kind == kind} == {False, True}, kind


def test_no_case_hides_another():
    assert len(CASES) == sum(map(len, TABLES))
