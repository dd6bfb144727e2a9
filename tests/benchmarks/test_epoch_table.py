"""The epoch benchmark's table: medians over the rounds, ratios within each."""

import pytest

from benchmarks.epochs import table

FACTS = {"batches": "bucketed", "devices": 1, "tokens": 900, "padding": 0.25, "shapes": 5}


def make_row(contestant, round, seconds, **changes):
    measured = {"compile_seconds": 4.0, "deviation": 3e-7, "device_wait": None}
    row = {"contestant": contestant, "round": round, "seconds": seconds, **FACTS, **measured, **changes}
    return {"settings": {}, "environment": {}, **row}


@pytest.fixture(autouse=True)
def short_header(monkeypatch):
    monkeypatch.setattr(table, "header", lambda row: "header")


def test_a_line_holds_medians_and_the_ratio_of_each_round():
    ours = [make_row("rnnjax", i, seconds, device_wait=0.01 * i) for i, seconds in enumerate((1.0, 2.0, 3.0))]
    others = [make_row("flax", i, seconds) for i, seconds in enumerate((4.0, 4.0, 3.0))]
    absent = {**make_row("keras", 0, 0.0), "reason": "not installed"}
    flax, rnnjax, keras = table.report([*others, *ours, absent]).splitlines()[4:]
    cells = "4.00 (3.50 to 4.00) | 0.500 (0.375 to 0.750) | 225 | 25.0% |  | 4.0 (5) | 3e-07 |"
    assert flax == f"| `flax` | bucketed | 1 | {cells}"
    cells = "2.00 (1.50 to 2.50) | 1.00 (1.00 to 1.00) | 450 | 25.0% | 1.0% | 4.0 (5) | 3e-07 |"
    assert rnnjax == f"| `rnnjax` | bucketed | 1 | {cells}"
    assert keras == "| `keras` | not installed |" + "  |" * 8


def test_a_ratio_needs_this_librarys_own_epoch_in_the_same_round():
    rows = [make_row("flax", 0, 4.0), make_row("flax", 1, 8.0), make_row("rnnjax", 1, 2.0, device_wait=0.0)]
    flax, rnnjax = table.table(rows).splitlines()[2:]
    assert "| 0.250 (0.250 to 0.250) |" in flax
    assert "| 0.0% |" in rnnjax
    (alone,) = table.table(rows[:2]).splitlines()[2:]
    assert alone.startswith("| `flax` | bucketed | 1 | 6.00 (5.00 to 7.00) |  | 150 |")


def test_rows_of_other_settings_are_another_table():
    rows = [make_row("flax", 0, 1.0), make_row("flax", 0, 2.0, settings={"hidden": 8})]
    first, second = table.report(rows).split("\n\nheader")
    assert "1.00 (1.00 to 1.00)" in first
    assert "2.00 (2.00 to 2.00)" in second
