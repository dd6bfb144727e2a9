"""Checks of a cell's contract: it is static and pure, and has the right shapes and dtypes."""

import copy
import functools
from multiprocessing.reduction import ForkingPickler
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.cells import PointwiseCell
from rnnjax.dtypes import widen
from rnnjax.recurrences.recurrence import KINDS
from rnnjax.testing.findings import Findings
from rnnjax.testing.problem import Problem, Subject, is_zero, one_step
from rnnjax.types import Size, features

FROZEN = "make the cell a frozen dataclass, its fields hashable (a tuple, not a list; arrays belong to the parameters)"


def check_static(subject: Subject, findings: Findings) -> bool:
    """Checks that the cell is hashable, can be pickled, and is equal to its copy. Returns whether it is hashable."""
    cell = subject.cell
    try:
        hash(cell)
    except TypeError as error:
        findings.fail("hash", f"expected a hashable cell, got {error}: {FROZEN}")
        return False
    try:
        ForkingPickler.dumps(cell)  # never unpickled, since the copy is made without it
        again = copy.deepcopy(cell)
    except Exception as error:  # fields of the cell may raise anything
        text = f"expected a cell that can be pickled, got {type(error).__name__}: {error}"
        findings.fail("pickle", f"{text}; its class and its functions must be defined at the top level of a module")
        return True
    if again != cell or hash(again) != hash(cell):
        findings.fail("pickle", f"expected a copy with equal value and hash, got a different one: {FROZEN}")
    else:
        findings.checked.append("hashable, can be pickled, and equal to its copy")
    return True


def check_shapes(subject: Subject, dtypes: tuple[str, ...], findings: Findings) -> bool:
    """Checks shapes and dtypes of parameters, state and output without computing: in every dtype, and for other sizes.

    Returns whether they are correct for a whole batch with the given sizes.
    """
    before = len(findings.failures)
    for dtype in dtypes:
        with jax.enable_x64(dtype == "float64"):
            _check_step(subject, dtype, subject.batch, dtype, findings)
    if len(findings.failures) > before:
        return False
    with jax.enable_x64(True):
        _check_step(subject, "float64", 1, "a batch of 1 row", findings)
        larger = Subject(subject.cell, _doubled(subject.input_size), _doubled(subject.hidden_size), subject.seed)
        try:
            larger.shapes_of_params("float64")
        except ValueError:
            return True  # the cell may reject these sizes
        where = f"{larger.input_size} input and {larger.hidden_size} hidden features"
        hint = "; is a size hard-coded?"
        _check_step(larger, "float64", subject.batch, where, findings, hint)
    if len(findings.failures) == before:
        findings.checked.append(f"shapes and dtypes stay the same over steps, in {', '.join(dtypes)} and other sizes")
    return True


def _doubled(size: Size) -> Size:
    *lead, last = features(size)
    return (*lead, 2 * last) if lead else 2 * last


def _check_step(subject: Subject, dtype: str, batch: int, where: str, findings: Findings, hint: str = "") -> None:
    """Checks the shapes of one step for this batch size."""
    cell, hidden = subject.cell, features(subject.hidden_size)
    with findings.guard(f"init_params, {where}", hint):
        params = subject.shapes_of_params(dtype)
        for path, leaf in jax.tree.leaves_with_path(params):
            if jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.dtype != dtype:
                findings.fail(
                    f"init_params, {where}", f"params{jax.tree_util.keystr(path)}: expected {dtype}, got {leaf.dtype}"
                )
        inputs = jax.ShapeDtypeStruct((batch, *features(subject.input_size)), dtype)
    with findings.guard(f"init_state, {where}", hint):
        arrays = subject.init_state(jnp.dtype(dtype), batch)
        if not hasattr(arrays, "_fields"):
            findings.fail(f"init_state, {where}", f"expected a NamedTuple of arrays, got {type(arrays).__name__}")
            return
        state = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, arrays))
        for name, leaf in zip(state._fields, state, strict=True):
            if leaf.shape[:1] != (batch,):
                expected = f"a first axis of {batch} rows"
                findings.fail(f"init_state, {where}", f"{name}: expected {expected}, got shape {leaf.shape}")
        size = tuple(cell.size_of(arrays))
        if size != hidden:
            findings.fail(f"size_of, {where}", f"expected the hidden size {hidden} of init_state, got {size}")
    if any(f"{what}, {where}" in text for text in findings.failures for what in ("init_params", "init_state")):
        return
    before = len(findings.failures)
    if isinstance(cell, PointwiseCell):
        # `update` is checked first, because `step` casts its results.
        with findings.guard(f"update, {where}", hint):
            after = jax.eval_shape(functools.partial(_update, cell), params, inputs, state)
            _check_state(f"update, {where}", after, jax.eval_shape(widen, state), findings, hint)
    if len(findings.failures) == before:
        with findings.guard(f"step, {where}", hint):
            after = jax.eval_shape(cell.step, params, inputs, state)
            _check_state(f"step, {where}", after, state, findings, hint)
    if len(findings.failures) > before:
        return
    with findings.guard(f"output, {where}", hint):
        _, output = jax.eval_shape(one_step(cell), params, inputs, state)
        if output.shape[:1] != (batch,):
            findings.fail(f"output, {where}", f"expected a first axis of {batch} rows, got shape {output.shape}")


def _update(cell: PointwiseCell, params: Any, inputs: Any, state: Any) -> Any:
    own, params = cell.effective(params)
    gates = own.pre_activations(params, inputs, state.hidden)
    return own.update(*widen((params.extras, *gates, state)))


def _check_state(where: str, after: Any, before: Any, findings: Findings, hint: str) -> None:
    """Checks the new state: a recurrence casts it to the old dtypes, which may only round wider numbers."""
    if type(after) is not type(before):
        findings.fail(where, f"expected a state {type(before).__name__}{before._fields}, got {type(after).__name__}")
        return
    for name, new, old in zip(before._fields, after, before, strict=True):
        if new.shape != old.shape:
            findings.fail(
                where, f"state.{name}: expected shape {old.shape}, as init_state gives, got {new.shape}{hint}"
            )
        elif _kind(new.dtype) != _kind(old.dtype):
            findings.fail(where, f"state.{name}: expected {old.dtype}, as init_state gives, got {new.dtype}")
        elif new.dtype.itemsize < old.dtype.itemsize:
            findings.fail(where, f"state.{name}: expected {old.dtype} or wider, got {new.dtype}, which is less precise")


def _kind(dtype: Any) -> int:
    return next(i for i, kind in enumerate(KINDS) if jnp.issubdtype(dtype, kind))


def check_init_params(subject: Subject, findings: Findings) -> None:
    """Checks that new parameters are finite, equal for equal keys and different for different keys."""
    with findings.guard("init_params"):
        draw = subject.initialiser(jnp.float32)
        first, again, other = draw(0), subject.initialiser(jnp.float32)(0), draw(1)
        pairs = list(zip(*map(jax.tree.leaves, (first, again, other)), strict=True))
        if not all(np.array_equal(one, two, equal_nan=True) for one, two, _ in pairs):
            findings.fail("init_params", "expected equal numbers for equal keys, got different ones")
        if pairs and all(np.array_equal(one, two) for one, _, two in pairs):
            findings.fail("init_params", "expected different numbers for different keys, got the same in every array")
        for path, leaf in jax.tree.leaves_with_path(first):
            if not np.isfinite(np.asarray(leaf, np.float64)).all():
                findings.fail(
                    "init_params", f"params{jax.tree_util.keystr(path)}: expected finite numbers, got some that are not"
                )
        findings.checked.append("init_params depends only on its key")


def check_pure(subject: Subject, problem: Problem, findings: Findings) -> bool:
    """Whether two calls with the same arguments give identical results and do not change the cell."""
    arrays, call = problem.arrays, one_step(subject.cell)
    where = "two calls of step and output with the same arguments"
    arguments = jax.tree.map(jnp.asarray, (arrays.params, arrays.inputs[0], arrays.initial_state))
    try:
        name = hash(subject.cell)
    except TypeError:  # reported by another check
        name = None
    # Not compiled, because a compiled function would run the Python code only once.
    first, second = (dict(zip(("state", "output"), jax.device_get(call(*arguments)), strict=True)) for _ in range(2))
    hint = "; a cell must be pure: no counter, and no random numbers except from its arguments"
    if not findings.compare("two calls", where, second, first, 0.0, hint):
        return False
    if name is not None and hash(subject.cell) != name:
        findings.fail(where, f"expected an unchanged cell, got a different hash{hint}")
        return False
    findings.checked.append("pure: two calls give identical results")
    return True


def check_effects(gradients: dict[str, Any], findings: Findings) -> None:
    """Checks that every parameter array has an effect on some result."""
    unused = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree.leaves_with_path(gradients["gradient of params"])
        if is_zero(leaf)
    ]
    for name in unused:
        findings.fail(
            f"params{name}",
            "expected an effect on outputs or states, got a gradient that is zero everywhere: "
            "is it used, and is there a stop_gradient?",
        )
    if not unused:
        findings.checked.append("every parameter has an effect")
