"""The parallel recurrence: all steps are solved at once by Newton's method."""

import dataclasses
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.core
import jax.numpy as jnp

from rnnjax.cells.cell import Cell, PointwiseCell
from rnnjax.compat import check_when_run
from rnnjax.dtypes import cast_like, promoted, widen
from rnnjax.recurrences.newton_solve import FirstGuess, Otherwise, Plan, solve_states
from rnnjax.recurrences.noise import loop_of
from rnnjax.recurrences.recurrence import Problem, Recurrence, Taken, clear_padding, fixed_steps, prepare, zero_where
from rnnjax.recurrences.reverse_mode import reverse_mode_only
from rnnjax.types import Params, State, TimeInputs

Method = Literal["dense", "diagonal"]
# Of the default tolerance, in units of the rounding of the dtype. Measured residuals of converged runs: one.
ROUNDINGS = 16


class Solution(NamedTuple):
    """What a recurrence returns, and how Newton's method went.

    `residual` is the largest `|s_t - f_t(s_{t-1})| / max(1, |s_t|)` of the last iterate, NaN if the iteration
    overflowed. It is not the error: that is up to `1 / (1 - a)` times as large if every Jacobian shrinks vectors by the
    factor a < 1, and may be larger otherwise. Without `converged`, outputs and states are those of a plain loop.
    """

    outputs: jax.Array
    final_state: State
    states: State
    iterations: jax.Array
    residual: jax.Array
    converged: jax.Array


@dataclasses.dataclass(frozen=True)
class Newton(Recurrence):
    """Newton's method for all T steps at once; each iteration is a linear recurrence, solved by an associative scan.

        s = f(initial state) at every step            (f_t is the step with lengths, resets and noise)
        until max |s_t - f_t(s_{t-1})| / max(1, |s_t|) <= tolerance:
            A_t = derivative of f_t at s_{t-1}
            d_t = (1 - damping) A_t d_{t-1} + f_t(s_{t-1}) - s_t
            s = s + d

    `method` sets the matrices A:

        "dense"       the whole Jacobian (DEER): O(T B D^3) work and O(T B D^2) memory for a state of D numbers
        "diagonal"    for each unit the block of its own fields (quasi-DEER): O(T B D); more iterations. Only for
                      elementwise cells. Without a recurrent map it is the whole Jacobian, so that "dense" is the same

    Both have the same solution, and after i iterations the first i steps are solved. `damping` in [0, 1] shrinks the
    matrices, so that products of many of them stay bounded while the iterates are far from the solution; 1 is the
    fixed-point iteration `s_t = f_t(s_{t-1})`. It is the contraction that a trust region (ELK) causes in its Kalman
    filter, without the filter's covariances.

    `tolerance` is 16 roundings of the dtype by default. `first_guess` is "step" (as above) or "initial" (the initial
    state). `otherwise` says what follows if the residual is above the tolerance after `max_iterations`: "scan", a plain
    loop, or "error". `solve` also returns the iterations and the residual.

    The number of iterations grows with log T if the recurrence is contractive; for a chaotic one (a positive largest
    Lyapunov exponent) it grows with T, and a plain loop is faster. Everything is computed in at least float32. The
    gradient is exact for every method: one linear recurrence backwards with the whole Jacobians at the solution (with
    "diagonal" and a recurrent map, a plain loop backwards). Differentiable in reverse mode any number of times.

    Sources: Lim et al. 2024, "Parallelizing non-linear sequential models over the sequence length" (DEER); Gonzalez et
    al. 2024, "Towards Scalable and Stable Parallelization of Nonlinear RNNs" (quasi-DEER, ELK). Raises ValueError for
    options out of range, a state that is not real floating-point, "diagonal" for a cell that is not elementwise and a
    number of steps that is unknown while tracing; TypeError for forward mode; with `otherwise="error"`,
    ArithmeticError, or under `jax.jit` the error of JAX's `checkify`, which the caller must apply.
    """

    method: Method = "dense"
    damping: float = 0.0
    tolerance: float | None = None
    max_iterations: int = 100
    first_guess: FirstGuess = "step"
    otherwise: Otherwise = "scan"

    def __post_init__(self):
        for name, kind in (("method", Method), ("first_guess", FirstGuess), ("otherwise", Otherwise)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name}: expected one of {list(get_args(kind))}, got {getattr(self, name)!r}")
        if not 0 <= self.damping <= 1:
            raise ValueError(f"damping: expected a number from 0 to 1, got {self.damping}")
        if self.tolerance is not None and not self.tolerance >= 0:
            raise ValueError(f"tolerance: expected at least 0, got {self.tolerance}")
        if self.max_iterations < 1:
            raise ValueError(f"max_iterations: expected at least 1, got {self.max_iterations}")

    def solve(
        self,
        cell: Cell,
        params: Params,
        inputs: TimeInputs,
        initial_state: State,
        *,
        reverse: bool = False,
        **options: Any,
    ) -> Solution:
        """As a call, with the states of all steps, the iterations and the residual. Raises as a call."""
        cell, problem = prepare(cell, params, inputs, initial_state, **options)
        if problem.inputs.shape[0] > 0:
            return self._solve(cell, problem, reverse)
        given = {"reverse": reverse, "all_states": True, **options}
        outputs, final_state, states = self(cell, problem.params, inputs, initial_state, **given)
        return Solution(outputs, final_state, states, jnp.zeros((), jnp.int32), jnp.zeros(()), jnp.ones((), bool))

    def run(self, cell: Cell, problem: Problem, reverse: bool, all_states: bool) -> tuple[Taken, State]:
        """The outputs (and states) of all steps and the final state; from T-1 down with `reverse`."""
        solution = self._solve(cell, problem, reverse)
        return Taken(solution.outputs, solution.states if all_states else None), solution.final_state

    def _solve(self, cell: Cell, problem: Problem, reverse: bool) -> Solution:
        plan = self._plan(cell, problem)
        if reverse:
            problem = problem._replace(**_flipped({"inputs": problem.inputs, "flags": problem.flags}))
        flags = problem.flags
        inputs = clear_padding(problem.inputs, flags)
        wide = widen(problem._replace(inputs=inputs))
        if isinstance(cell, PointwiseCell):
            # The product with W does not depend on the states: once, for all steps and iterations.
            wide = wide._replace(inputs=cell.input_map.apply(wide.params.input, wide.inputs, cell.gates))
        with reverse_mode_only("Newton"):
            found: Any = solve_states(cell, plan, wide)
        residual = jax.lax.stop_gradient(found.residual)
        if self.otherwise == "error":
            _check(plan, residual)
        states = cast_like(found.states, problem.initial_state)
        outputs = jax.vmap(loop_of(cell, problem.params, None).output)(inputs, states)
        if flags.valid is not None:
            outputs = zero_where(~flags.valid, outputs)
        final = jax.tree.map(lambda leaf: leaf[-1], states)
        if reverse:
            outputs, states = _flipped((outputs, states))
        return Solution(outputs, final, states, found.iterations, residual, residual <= plan.tolerance)

    def _plan(self, cell: Cell, problem: Problem) -> Plan:
        """The options for this cell and these dtypes."""
        state = problem.initial_state
        wrong = [leaf.dtype for leaf in jax.tree.leaves(state) if not jnp.issubdtype(leaf.dtype, jnp.floating)]
        if wrong:
            raise ValueError(f"Newton: expected a state of real floating-point arrays, got {wrong[0]}; use Scan")
        fixed_steps(self, problem)
        elementwise = isinstance(cell, PointwiseCell) and cell.elementwise
        if self.method == "diagonal" and not elementwise:
            raise ValueError(
                f"method: expected 'dense' for a cell whose update is not elementwise, got 'diagonal' for "
                f"{type(cell).__name__}"
            )
        whole = isinstance(cell, PointwiseCell) and cell.recurrent_map is None
        by_unit = elementwise and (self.method == "diagonal" or whole)
        tolerance = self.tolerance
        if tolerance is None:
            tolerance = ROUNDINGS * float(jnp.finfo(promoted(*jax.tree.leaves(widen(state)))).eps)
        return Plan(by_unit, self.damping, tolerance, self.max_iterations, self.first_guess, self.otherwise)


def _flipped(tree: Any) -> Any:
    """The tree with the order of the steps reversed."""
    return jax.tree.map(lambda leaf: leaf[::-1], tree)


def _check(plan: Plan, residual: jax.Array) -> None:
    """Raises ArithmeticError if the residual is above the tolerance; inside a trace, leaves it to `checkify`."""
    message = (
        f"Newton: expected a residual of at most {plan.tolerance:.1e} after {plan.max_iterations} iterations, got "
    )
    if isinstance(residual, jax.core.Tracer):
        check_when_run(residual <= plan.tolerance, message + "{residual}", residual=residual)
    elif not residual <= plan.tolerance:
        raise ArithmeticError(f"{message}{float(residual):.1e}")
