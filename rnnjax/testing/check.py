"""`check_cell`: all that the library asks of a cell, and all that it promises for one, tested in one call."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from rnnjax.cells import Cell
from rnnjax.recurrences import Recurrence, Scan
from rnnjax.testing import loops, promises, rows, transforms
from rnnjax.testing.findings import Findings, Report
from rnnjax.testing.problem import Problem, Subject, compiled, gradients, make_problem, one_step
from rnnjax.types import Size

DTYPES = ("float32", "bfloat16", "float16")


class Wanted(NamedTuple):
    """Which of the checks over time are wanted."""

    recurrences: tuple[Recurrence, ...]
    dtypes: tuple[str, ...]
    differences: bool
    transformations: bool


def check_cell(
    cell: Cell,
    input_size: Size = 3,
    hidden_size: Size = 4,
    *,
    recurrences: Sequence[Recurrence] = loops.RECURRENCES,
    dtypes: Sequence[str] = DTYPES,
    differences: bool = True,
    transformations: bool = True,
    seed: int = 0,
) -> Report:
    """Tests a cell of yours under every recurrence; a report says in words what was checked and how large errors were.

    Runs on the CPU, in float64 and `dtypes`, with random inputs `(T, B, I)` and states. `differences=False` leaves out
    central differences, for a cell whose gradient is meant to be another (a surrogate); `transformations=False` leaves
    out `vmap`, `shard_map` and the like, a third of the time. Raises AssertionError with all failures, not only the
    first, and RuntimeError where JAX may not use the CPU.
    """
    findings = Findings(type(cell).__name__)
    subject = Subject(cell, input_size, hidden_size, seed)
    wanted = Wanted(tuple(recurrences), tuple(dtypes), differences, transformations)
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        static = promises.check_static(subject, findings)
        fitting = promises.check_shapes(subject, ("float64", *dtypes), findings)
        if fitting:
            with jax.enable_x64(True):
                _check_step(subject, wanted, findings, static=static)
    return findings.report()


def _check_step(subject: Subject, wanted: Wanted, findings: Findings, *, static: bool) -> None:
    """One step by itself, in float64; then loops over steps, where these can tell more."""
    step = compiled(one_step(subject.cell))
    promises.check_init_params(subject, findings)
    with findings.guard("step, float64"):
        problem = make_problem(subject, step)
        # Of a cell that is not pure nothing can be told, nor over time of one that mixes rows or is not static.
        if not promises.check_pure(subject, problem, findings):
            return
        unmixed = rows.check_rows(subject, problem, step, findings)
        rows.check_elementwise(subject, problem, findings)
        if static and unmixed:
            _check_loops(subject, problem, step, wanted, findings)


def _check_loops(
    subject: Subject, problem: Problem, step: Callable[..., Any], wanted: Wanted, findings: Findings
) -> None:
    """Steps over time: `Scan` against all that knows no recurrence, and everything else against `Scan`."""
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
