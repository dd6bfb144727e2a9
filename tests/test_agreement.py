"""The table of cells x recurrences in `rnnjax/README.md`: computed here, entry by entry, so that it cannot go stale."""

from pathlib import Path
from typing import Any

import jax
import pytest
from linear_cells import LINEAR_CELLS, parts
from own_cells import Plain
from reference import FLOAT64_TOLERANCE, assert_close
from tables import CELLS, sizes_of
from tables import RECURRENCES as OF_ALL_CELLS

from rnnjax import Associative, Cell, Chunked, LinearCell, PointwiseCell, Recurrence, Scan
from rnnjax.testing.problem import Subject, compiled, gradients, make_problem, one_step

README = (Path(__file__).parents[1] / "rnnjax/README.md").read_text(encoding="utf-8")
RECURRENCES = OF_ALL_CELLS | {"associative": Associative()}
NAMED: dict[str, Cell] = {**CELLS, **LINEAR_CELLS}
ROWS: dict[str, Cell] = {f"`{name}`": cell for name, cell in NAMED.items()} | {"a plain `Cell`": Plain()}
HEAD = ["cell", *(f"`{recurrence}`" for recurrence in RECURRENCES.values())]


def line(entries: list[str]) -> str:
    return f"| {' | '.join(entries)} |"


def table() -> list[list[str]]:
    """The entries of the table that the README has, its head first."""
    lines = README.splitlines()
    assert line(HEAD) in lines, (
        f"rnnjax/README.md, Numerics: expected the table's head\n{line(HEAD)}\n{line(['---'] * len(HEAD))}"
    )
    start = lines.index(line(HEAD))
    end = next(i for i in range(start, len(lines)) if not lines[i].startswith("|"))
    return [[entry.strip() for entry in row.strip("|").split("|")] for row in lines[start:end]]


def entry(cell: Cell, recurrence: Recurrence, problem: Any, want: Any) -> str:
    """What stands in the table: "equal" to `Scan` in values and gradients, or "refused" by name."""
    program = compiled(gradients(cell, recurrence))
    if isinstance(recurrence, Chunked) and not isinstance(cell, PointwiseCell | LinearCell):
        with pytest.raises(TypeError, match=f"expected a PointwiseCell or a LinearCell, got {type(cell).__name__}"):
            program(problem.arrays, problem.given)
        return "refused"
    if isinstance(recurrence, Associative) and not isinstance(cell, LinearCell):
        with pytest.raises(ValueError, match=f"expected a LinearCell, got {type(cell).__name__}"):
            program(problem.arrays, problem.given)
        return "refused"
    _, *got = program(problem.arrays, problem.given)
    for group, left, right in zip(("values", "gradients"), got, want, strict=True):
        assert_close(parts(left), parts(right), group, tolerance=FLOAT64_TOLERANCE, kind="float64")
    return "equal"


@pytest.mark.quick("`lstm`", "a plain*")
@pytest.mark.parametrize("name", ROWS)
def test_each_entry_of_a_row_is_as_the_readme_says(name):
    cell = ROWS[name]
    subject = Subject(cell, *sizes_of(cell), seed=0)
    with jax.enable_x64(True):
        problem = make_problem(subject, compiled(one_step(cell)))
        _, *want = compiled(gradients(cell, Scan()))(problem.arrays, problem.given)
        row = [name, *(entry(cell, recurrence, problem, want) for recurrence in RECURRENCES.values())]
    assert row in table(), f"rnnjax/README.md, Numerics: expected the row\n{line(row)}"


def test_the_readme_has_these_rows_and_no_others():
    assert [row[0] for row in table()[2:]] == list(ROWS)
