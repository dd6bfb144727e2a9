"""Checks of a cell under every recurrence, in every dtype, and against central differences and a plain loop."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.cells import LinearCell, PointwiseCell
from rnnjax.recurrences import Chunked, Recurrence, Scan, Unrolled
from rnnjax.recurrences.chunk_gradient import continuous, replaced
from rnnjax.testing.findings import TOLERANCES, Findings, readable, wide
from rnnjax.testing.problem import (
    CHUNK,
    Arrays,
    Problem,
    Subject,
    compiled,
    gradients,
    precision,
    random_like,
    run,
    without_states,
)

RECURRENCES: tuple[Recurrence, ...] = (
    Scan(unroll=2),
    Unrolled(),
    Chunked(CHUNK, "gates"),
    Chunked(CHUNK, "boundaries"),
)
# Step sizes of central differences (the best result counts), and tolerances relative to max(1, the derivative): in
# float64, and for states with a narrower array, where rounding needs a larger step and curvature a smaller one.
# Measured errors over the library's cells: 3.6e-8; with a float32 matrix as state: 2.1e-3.
STEPS = {"float64": (1e-4,), "float32": (3e-3, 1e-2)}
# Weights of fourth order: in a second-order difference, the third derivative of a cell would look like an error.
WEIGHTS = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}
DIFFERENCE_TOLERANCES = {"float64": 1e-6, "float32": 5e-3}


def check_streaming(
    subject: Subject, problem: Problem, step: Callable[..., Any], wanted: dict[bool, Any], findings: Findings
) -> None:
    """Compares `Scan` with a plain loop over `step` and `output` that handles lengths and resets."""
    tolerance = TOLERANCES[precision(subject, "float64")]
    for reverse, (_, values, _) in wanted.items():
        where = f"Scan(){' in reverse' * reverse}, float64, against single steps of the cell"
        findings.compare("streaming", where, values, _by_hand(problem, step, reverse), tolerance)
    findings.checked.append(
        "single steps give the same as a whole run, with lengths 0, 1 and T, resets, and in reverse"
    )


def _by_hand(problem: Problem, step: Callable[..., Any], reverse: bool) -> dict[str, Any]:
    params, inputs, state, reset_state = problem.arrays
    lengths, resets, _ = problem.given

    def where(rows: Any, yes: Any, no: Any) -> Any:
        return jax.tree.map(lambda a, b: np.where(rows.reshape(-1, *[1] * (np.ndim(a) - 1)), a, b), yes, no)

    taken: dict[int, Any] = {}
    order = range(len(inputs))
    for t in reversed(order) if reverse else order:
        valid = t < lengths
        after, output = step(params, inputs[t], where(resets[t], reset_state, state))
        state = where(valid, after, state)
        taken[t] = where(valid, output, np.zeros_like(output)), state
    outputs, states = jax.tree.map(lambda *leaves: np.stack(leaves), *(taken[t] for t in order))
    return {"outputs": outputs, "final_state": state, "states": states}


def check_recurrences(
    subject: Subject,
    problem: Problem,
    wanted: dict[bool, Any],
    recurrences: Sequence[Recurrence],
    findings: Findings,
) -> None:
    """Compares values and gradients of every recurrence with those of `Scan`, in float64 and in both directions."""
    tolerance, agreeing = TOLERANCES[precision(subject, "float64")], ["Scan()"]
    for recurrence in recurrences:
        before = len(findings.failures)
        if is_refused(recurrence, subject):
            _check_refusal(subject, problem, recurrence, findings)
            continue
        for reverse, want in wanted.items():
            where = f"{recurrence}{', reverse' * reverse}, float64, against Scan()"
            with findings.guard(where):
                got = compiled(gradients(subject.cell, recurrence, reverse=reverse))(problem.arrays, problem.given)
                for kind, left, right in zip(("values", "gradients"), got[1:], want[1:], strict=True):
                    findings.compare(f"{kind} of recurrences", where, left, right, tolerance)
        if len(findings.failures) == before:
            agreeing.append(str(recurrence))
    findings.checked.append(f"equal values and gradients under {', '.join(agreeing)}, in both directions")


def is_refused(recurrence: Recurrence, subject: Subject) -> bool:
    """Whether the recurrence only supports pointwise and linear cells, and this cell is neither."""
    return isinstance(recurrence, Chunked) and not isinstance(subject.cell, PointwiseCell | LinearCell)


def _check_refusal(subject: Subject, problem: Problem, recurrence: Recurrence, findings: Findings) -> None:
    """Checks that a recurrence that cannot run the cell raises an error."""
    try:
        jax.eval_shape(lambda: run(subject.cell, recurrence, problem.arrays, problem.given))
    except TypeError as error:
        if "expected a PointwiseCell" in str(error):
            findings.checked.append(f"{recurrence} raises a TypeError for a cell that is not a PointwiseCell")
            return
        raise
    findings.fail(str(recurrence), "expected a TypeError for a cell that is not a PointwiseCell, got none")


def check_dtypes(
    subject: Subject,
    problem: Problem,
    dtypes: Sequence[str],
    recurrences: Sequence[Recurrence],
    findings: Findings,
) -> None:
    """Compares every dtype with float64, within its tolerance, and checks that states keep the dtypes of `init_state`.

    Runs float32 under every recurrence, and half precision, which takes longest to compile, under `Scan` and the last
    recurrence.
    """
    given = without_states(problem.given)
    with jax.enable_x64(True):
        want = compiled(gradients(subject.cell, Scan()))(problem.arrays, given)
        want[1].pop("states")
    runnable = [Scan(), *(recurrence for recurrence in recurrences if not is_refused(recurrence, subject))]
    for dtype in dtypes:
        before = len(findings.failures)
        with jax.enable_x64(dtype == "float64"):
            for recurrence in runnable if dtype == "float32" else (runnable[0], runnable[-1]):
                where = f"{recurrence}, {dtype}, against float64"
                with findings.guard(where):
                    _check_dtype(subject, problem._replace(given=given), recurrence, dtype, want, where, findings)
        if len(findings.failures) == before:
            findings.checked.append(f"{dtype} agrees with float64, and every array of the state keeps its dtype")


def _check_dtype(
    subject: Subject, problem: Problem, recurrence: Recurrence, dtype: str, want: Any, where: str, findings: Findings
) -> None:
    arrays = subject.cast(problem.arrays, dtype)
    program = compiled(gradients(subject.cell, recurrence, all_states=False))
    _, values, found = program(arrays, problem.given)
    tolerance = TOLERANCES[precision(subject, dtype)]
    findings.compare(f"values in {dtype}", where, values, want[1], tolerance)
    findings.compare(f"gradients in {dtype}", where, found, want[2], tolerance)
    for name, leaf, like in zip(
        values["final_state"]._fields, values["final_state"], arrays.initial_state, strict=True
    ):
        if leaf.dtype != like.dtype:
            findings.fail(where, f"final_state.{name}: expected {like.dtype}, as init_state gives, got {leaf.dtype}")


def check_differences(subject: Subject, problem: Problem, program: Callable[..., Any], findings: Findings) -> None:
    """Compares the gradient of every array with central differences along a random direction, in float64."""
    narrow = precision(subject, "float64") != "float64"
    sizes = STEPS["float32" if narrow else "float64"]
    tolerance = DIFFERENCE_TOLERANCES["float32" if narrow else "float64"]
    random, before = np.random.default_rng(subject.seed), len(findings.failures)
    moving = continuous(jax.tree.map(jnp.asarray, problem.arrays))
    slopes_by_name = program(problem.arrays, problem.given)[2]
    found = Arrays(*(slopes_by_name[f"gradient of {name}"] for name in Arrays._fields))
    paths = jax.tree.leaves_with_path(moving)
    leaves, slopes, structure = jax.tree.leaves(moving), jax.tree.leaves(found), jax.tree.structure(moving)
    for i, (path, leaf) in enumerate(paths):
        direction = random_like(random, leaf)

        def loss_at(distance: float, i: int = i, leaf: Any = leaf, direction: Any = direction) -> float:
            moved = [*leaves[:i], np.asarray(leaf + distance * direction, leaf.dtype), *leaves[i + 1 :]]
            return float(program(replaced(problem.arrays, jax.tree.unflatten(structure, moved)), problem.given)[0])

        got = float((wide(slopes[i]) * direction).sum().real)
        wants = [sum(share * loss_at(steps * size) for steps, share in WEIGHTS.items()) / size for size in sizes]
        errors = [abs(got - want) / max(1, abs(want)) for want in wants]
        error, want = min(zip(np.nan_to_num(errors, nan=np.inf), wants, strict=True))
        findings.errors["differences"] = max(findings.errors.get("differences", 0.0), error)
        if error > tolerance:
            findings.fail(
                "Scan(), float64, against central differences",
                f"gradient of {jax.tree_util.keystr(path).lstrip('.')} along a random direction: expected {want:.6g}, "
                f"got {got:.6g}: error {error:.1e} is above {tolerance:.0e} (for an intended surrogate gradient, set "
                "`differences=False`)",
            )
    if len(findings.failures) == before:
        findings.checked.append("gradients of parameters, inputs and both states agree with central differences")


def check_at_rest(subject: Subject, problem: Problem, program: Callable[..., Any], findings: Findings) -> None:
    """Checks that all numbers are finite at the start of training: new parameters, `init_state`, inputs of zeros."""
    state = jax.device_get(subject.init_state(jnp.float64))
    _, values, found = program(Arrays(problem.fresh, np.zeros_like(problem.arrays.inputs), state, state), problem.given)
    before = len(findings.failures)
    for path, leaf in jax.tree.leaves_with_path(values | found):
        bad = ~np.isfinite(wide(leaf))
        if bad.any():
            name = readable(jax.tree_util.keystr(path))
            findings.fail(
                "Scan(), float64, at inputs and states of zeros",
                f"{name}: expected finite numbers, got {leaf[bad][0]} ({bad.sum()} of {bad.size})",
            )
    if len(findings.failures) == before:
        findings.checked.append("values and gradients are finite at inputs and states of zeros")
