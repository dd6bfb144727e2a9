"""`check_cell`: tests everything that the library requires of a cell and guarantees for it, in one call."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from rnnjax.cells import Cell, LinearCell
from rnnjax.recurrences import Associative, Recurrence, Scan
from rnnjax.testing import loops, promises, rows, transforms
from rnnjax.testing.findings import Findings, Report
from rnnjax.testing.problem import Problem, Subject, compiled, gradients, make_problem, one_step
from rnnjax.types import Size

DTYPES = ("float32", "bfloat16", "float16")


class Wanted(NamedTuple):
    """Which of the checks over time to run."""

    recurrences: tuple[Recurrence, ...]
    dtypes: tuple[str, ...]
    differences: bool
    transformations: bool


def check_cell(
    cell: Cell,
    input_size: Size = 3,
    hidden_size: Size = 4,
    *,
    recurrences: Sequence[Recurrence] | None = None,
    dtypes: Sequence[str] = DTYPES,
    differences: bool = True,
    transformations: bool = True,
    seed: int = 0,
) -> Report:
    """Tests a user-defined cell under every recurrence; the report lists what was checked and the largest errors.

    `recurrences` are by default those of the library. Runs on the CPU, in float64 and `dtypes`, with random inputs
    `(T, B, I)` and states. `differences=False` omits the comparison with central differences, for a cell with a
    surrogate gradient; `transformations=False` omits `vmap`, `shard_map` and the like, which take a third of the time.
    Raises AssertionError with all failures, not only the first, and RuntimeError if JAX cannot use the CPU.
    """
    findings = Findings(type(cell).__name__)
    subject = Subject(cell, input_size, hidden_size, seed)
    if recurrences is None:
        recurrences = (*loops.RECURRENCES, *[Associative()] * isinstance(cell, LinearCell))
    wanted = Wanted(tuple(recurrences), tuple(dtypes), differences, transformations)
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        static = promises.check_static(subject, findings)
        fitting = promises.check_shapes(subject, ("float64", *dtypes), findings)
        if fitting:
            with jax.enable_x64(True):
                _check_step(subject, wanted, findings, static=static)
    return findings.report()


def _check_step(subject: Subject, wanted: Wanted, findings: Findings, *, static: bool) -> None:
    """Checks one step in float64, then loops over steps if one step has no failure that makes them meaningless."""
    step = compiled(one_step(subject.cell))
    promises.check_init_params(subject, findings)
    with findings.guard("step, float64"):
        problem = make_problem(subject, step)
        # Further checks are meaningless if the cell is not pure; loops also if it mixes rows or is not static.
        if not promises.check_pure(subject, problem, findings):
            return
        unmixed = rows.check_rows(subject, problem, step, findings)
        rows.check_elementwise(subject, problem, findings)
        if static and unmixed:
            _check_loops(subject, problem, step, wanted, findings)


def _check_loops(
    subject: Subject, problem: Problem, step: Callable[..., Any], wanted: Wanted, findings: Findings
) -> None:
    """Checks steps over time: `Scan` against code without recurrences, and everything else against `Scan`."""
    programs = {reverse: compiled(gradients(subject.cell, Scan(), reverse=reverse)) for reverse in (False, True)}
    scanned: dict[bool, Any] = {}
    with findings.guard("Scan(), float64"):
        scanned = {reverse: program(problem.arrays, problem.given) for reverse, program in programs.items()}
    if not scanned:
        return
    loops.check_streaming(subject, problem, step, scanned, findings)
    promises.check_effects(scanned[False][2], findings)
    loops.check_at_rest(subject, problem, programs[False], findings)
    if wanted.differences:
        loops.check_differences(subject, problem, programs[False], findings)
    loops.check_recurrences(subject, problem, scanned, wanted.recurrences, findings)
    loops.check_dtypes(subject, problem, wanted.dtypes, wanted.recurrences, findings)
    if wanted.transformations:
        last = [each for each in wanted.recurrences if not loops.is_refused(each, subject)][-1:]
        transforms.check_transformations(subject, problem, programs[False], [Scan(), *last], findings)
