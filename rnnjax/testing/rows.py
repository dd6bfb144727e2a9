"""Checks that one step does not mix rows of the batch, nor units if the cell is declared elementwise."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from rnnjax.cells import PointwiseCell
from rnnjax.testing.findings import TOLERANCES, Findings, place, wide
from rnnjax.testing.problem import Problem, Subject, compiled, precision
from rnnjax.types import features

# The amount added to a unit.
NUDGE = 0.5


def check_rows(subject: Subject, problem: Problem, step: Callable[..., Any], findings: Findings) -> bool:
    """Whether permuted rows give permuted results, a changed row changes no other row, and a single row is the same."""
    (params, inputs, state, other), rows = problem.arrays, np.arange(subject.batch)
    tolerance = TOLERANCES[precision(subject, "float64")]
    before = len(findings.failures)

    def call(inputs: Any, state: Any) -> dict[str, Any]:
        return dict(zip(("state", "output"), step(params, inputs, state), strict=True))

    def only(rows: Any, tree: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf[rows], tree)

    base = call(inputs[0], state)
    order = np.random.default_rng(subject.seed).permutation(rows)
    permuted = call(inputs[0][order], only(order, state))
    hint = "; a step must treat every row of the batch equally and separately"
    findings.compare("rows", "rows of the batch are mixed (permuted)", permuted, only(order, base), tolerance, hint)
    changed = [
        np.where((rows == 0).reshape(-1, *[1] * (old.ndim - 1)), new, old)
        for old, new in ((inputs[0], inputs[1]), *zip(jax.tree.leaves(state), jax.tree.leaves(other), strict=True))
    ]
    after = call(changed[0], jax.tree.unflatten(jax.tree.structure(state), changed[1:]))
    where = "rows of the batch are mixed (row 0 was changed, other rows differ)"
    findings.compare("rows", where, only(rows[1:], after), only(rows[1:], base), tolerance, hint)
    with findings.guard("a batch of 1 row", "; is a batch size hard-coded?"):
        alone = call(inputs[0][:1], only(slice(0, 1), state))
        where = f"step depends on the batch size (1 row alone, against the same row among {subject.batch})"
        findings.compare("rows", where, alone, only(slice(0, 1), base), tolerance, hint)
    if len(findings.failures) > before:
        return False
    findings.checked.append("rows of the batch are not mixed, for any number and order")
    return True


def check_elementwise(subject: Subject, problem: Problem, findings: Findings) -> None:
    """Checks `elementwise`: a change of one unit, in the pre-activations or the state, must not affect other units."""
    cell = subject.cell
    if not isinstance(cell, PointwiseCell):
        return
    found = _mixing(cell, subject, problem)
    if cell.elementwise and found:
        findings.fail("elementwise", f"declared True: expected units that do not affect each other, got {found}")
    elif cell.elementwise:
        findings.checked.append("elementwise: units do not affect each other")
    elif found is None:
        findings.checked.append("not declared elementwise")
        findings.hints.append(
            "units do not affect each other in update: `elementwise: ClassVar[bool] = True` makes Jacobians faster"
        )
    else:
        findings.checked.append("not elementwise, as declared")


def _mixing(cell: PointwiseCell, subject: Subject, problem: Problem) -> str | None:
    """A description of a unit that affects another unit, or None."""
    hidden = features(subject.hidden_size)
    units = int(np.prod(hidden))
    masks = np.concatenate([np.zeros((1, units)), np.eye(units)]).reshape(-1, *hidden)
    params, inputs, state, _ = problem.arrays
    own, params = cell.effective(params)
    gates = jax.device_get(own.pre_activations(params, inputs[0], state.hidden))
    names = ["the input part", "the recurrent part", *(f"state.{name}" for name in state._fields)]
    leaves = [*gates, *state]
    blocks = [own.gates, own.recurrent_gates if own.recurrent_map is not None else None]

    def by_unit(leaf: Any, blocks: int | None = None) -> bool:
        """Whether the axes after the rows are those of the hidden features."""
        shape = leaf.shape[1 : 1 + len(hidden)]
        return shape == (hidden if blocks is None else (*hidden[:-1], blocks * hidden[-1]))

    def nudged(moved: int) -> Callable[[Any], Any]:
        def call(mask: Any) -> Any:
            shape = leaves[moved].shape
            kept = shape[1 : 1 + len(hidden)]
            over = np.tile if isinstance(mask, np.ndarray) else jax.numpy.tile
            spread = over(mask, (*[1] * (len(hidden) - 1), kept[-1] // hidden[-1]))
            spread = spread.reshape(*kept, *[1] * (len(shape) - 1 - len(hidden)))
            given = [
                leaf if i != moved else leaf + (NUDGE * spread[None]).astype(leaf.dtype)
                for i, leaf in enumerate(leaves)
            ]
            return own.update(params.extras, given[0], given[1], type(state)(*given[2:]))

        return call

    able = [by_unit(leaf, count) for leaf, count in zip(gates, blocks, strict=True)]
    able += [by_unit(leaf) and np.issubdtype(leaf.dtype, np.inexact) for leaf in state]
    able[1] = able[1] and own.recurrent_map is not None
    movable = [i for i, yes in enumerate(able) if yes]
    results = compiled(lambda masks: [jax.vmap(nudged(i))(masks) for i in movable])(masks)
    tolerance = TOLERANCES[precision(subject, "float64")]
    for moved, after in zip(movable, results, strict=True):
        for name, leaf in zip(state._fields, after, strict=True):
            if not by_unit(leaf[0]):
                continue
            apart = np.abs(wide(leaf[1:]) - wide(leaf[:1]))
            apart = np.nanmax(apart.reshape(units, apart.shape[1], units, -1), axis=(1, 3))
            apart[np.diag_indices(units)] = 0
            if apart.max() > tolerance:
                source, target = (
                    place(np.unravel_index(i, hidden)) for i in np.unravel_index(apart.argmax(), apart.shape)
                )
                return f"unit {source} of {names[moved]} changes unit {target} of state.{name} by {apart.max():.2g}"
    return None
