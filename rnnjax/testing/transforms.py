"""Checks of a cell under JAX transformations: the gradients must be the same as without them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from rnnjax.recurrences import Recurrence
from rnnjax.recurrences.chunk_gradient import continuous, replaced
from rnnjax.testing.findings import TOLERANCES, Findings
from rnnjax.testing.problem import Arrays, Given, Problem, Subject, compiled, precision, run, weighted

Loss = Callable[[Any, Any], Any]


def check_transformations(
    subject: Subject,
    problem: Problem,
    program: Callable[..., Any],
    recurrences: Sequence[Recurrence],
    findings: Findings,
) -> None:
    """Compares the gradients of two sets of parameters and, for `shard_map`, of all other arrays."""
    tolerance, before = TOLERANCES[precision(subject, "float64")], len(findings.failures)
    members = [problem.arrays.params, problem.others]
    found = [program(problem.arrays._replace(params=params), problem.given)[2] for params in members]
    want = jax.tree.map(lambda *leaves: np.stack(leaves), *(each["gradient of params"] for each in found))
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *members)
    for recurrence in recurrences:

        def loss(params: Any, given: Any, recurrence: Recurrence = recurrence) -> Any:
            arrays, rest = given
            values = run(subject.cell, recurrence, arrays._replace(params=params), rest)
            return weighted(values, rest.weights)

        for name, transformed in TRANSFORMED.items():
            where = f"{recurrence}, float64, {name}"
            with findings.guard(where):
                got = compiled(transformed(loss))(stacked, (problem.arrays, problem.given))
                got, expected = {"gradient of params": got}, {"gradient of params": want}
                findings.compare("transformations", where, got, expected, tolerance)
        where = f"{recurrence}, float64, shard_map"
        with findings.guard(where):
            got = compiled(_sharded(subject, recurrence, problem))(problem.arrays, problem.given)
            findings.compare("transformations", where, got, found[0], tolerance)
    if len(findings.failures) == before:
        names = ", ".join([*TRANSFORMED, "shard_map"])
        findings.checked.append(f"under jit, {names} the gradients are the same as without them")


def _grad_of_loop(loss: Loss) -> Any:
    """The gradient of a loop over a mapped loss."""

    def total(members: Any, given: Any) -> Any:
        turns = jax.tree.map(lambda leaf: leaf[None], members)
        losses = jax.vmap(loss, (0, None))
        return jax.lax.scan(lambda sum, all: (sum + losses(all, given).sum(), None), jnp.zeros(()), turns)[0]

    return jax.grad(total)


# Several transformations in each program, because most of the time is compilation.
TRANSFORMED: dict[str, Callable[[Loss], Any]] = {
    "vmap of grad of jax.checkpoint": lambda loss: jax.vmap(jax.grad(jax.checkpoint(loss)), (0, None)),
    "grad of lax.scan of vmap": _grad_of_loop,
}


def _sharded(subject: Subject, recurrence: Recurrence, problem: Problem) -> Callable[[Arrays, Given], Any]:
    """Gradients with rows split over two devices, if available; parameter gradients are summed over devices."""
    mesh = jax.make_mesh((len(devices()),), ("rows",), axis_types=(AxisType.Auto,), devices=devices())
    row, step = P("rows"), P(None, "rows")
    weights = {name: row if name == "final_state" else step for name in problem.given.weights}
    given = Given(lengths=row, resets=step, weights=weights)
    found = {f"gradient of {name}": spec for name, spec in zip(Arrays._fields, (P(), step, row, row), strict=True)}

    def local(arrays: Arrays, given: Given) -> Any:
        arrays = arrays._replace(params=jax.lax.pcast(arrays.params, "rows", to="varying"))

        def loss(moved: Any) -> Any:
            return weighted(run(subject.cell, recurrence, replaced(arrays, moved), given), given.weights)

        slopes = jax.grad(loss)(continuous(arrays))
        slopes = slopes._replace(params=jax.lax.psum(slopes.params, "rows"))
        return {f"gradient of {name}": tree for name, tree in slopes._asdict().items()}

    return jax.shard_map(local, mesh=mesh, in_specs=(Arrays(P(), step, row, row), given), out_specs=found)


def devices() -> list[Any]:
    """Two CPU devices, or the only one."""
    return jax.local_devices(backend="cpu")[:2]
