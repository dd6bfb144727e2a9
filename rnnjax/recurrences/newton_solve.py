"""The iteration and the backward pass of `Newton`, as one function with a custom gradient."""

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import Cell, PointwiseCell
from rnnjax.recurrences.linear import solve_linear
from rnnjax.recurrences.newton_system import System, before_steps
from rnnjax.recurrences.recurrence import Problem
from rnnjax.types import State

FirstGuess = Literal["step", "initial"]
Otherwise = Literal["scan", "error"]


class Plan(NamedTuple):
    """Settings of a run: see `Newton`."""

    by_unit: bool
    damping: float
    tolerance: float
    max_iterations: int
    first_guess: FirstGuess
    otherwise: Otherwise


class Found(NamedTuple):
    """The state after every step `(T, B, ...)`, the iterations, and the residual of the last iterate."""

    states: State
    iterations: jax.Array
    residual: jax.Array


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def solve_states(cell: Cell, plan: Plan, problem: Problem) -> Found:
    """The carried state after every step, for a `Problem` with inputs as in `System`; no gradient of the residual."""
    system, time = System(cell, plan.by_unit), problem.inputs.shape[0]
    pack = jax.vmap(system.pack)

    def stepped(states: State) -> State:
        return system.all_steps(problem, before_steps(problem.initial_state, states))

    def distance(states: State, after: State) -> jax.Array:
        at = pack(states)
        return (jnp.abs(at - pack(after)) / jnp.maximum(1, jnp.abs(at))).max(initial=0)

    def iterate(carry: tuple[State, State, jax.Array, jax.Array]) -> tuple[State, State, jax.Array, jax.Array]:
        states, after, _, count = carry
        matrices = system.jacobians(problem, before_steps(problem.initial_state, states))
        change = solve_linear((1 - plan.damping) * matrices, pack(after) - pack(states))
        states = jax.vmap(system.unpack)(pack(states) + change, states)
        after = stepped(states)
        return states, after, distance(states, after), count + 1

    def goes_on(carry: tuple[State, State, jax.Array, jax.Array]) -> jax.Array:
        # False if the residual is NaN, from which no iteration recovers.
        return (carry[2] > plan.tolerance) & (carry[3] < plan.max_iterations)

    states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (time, *leaf.shape)), problem.initial_state)
    if plan.first_guess == "step":
        states = system.all_steps(problem, states)
    after = stepped(states)
    first = (states, after, distance(states, after), jnp.zeros((), jnp.int32))
    states, _, residual, iterations = jax.lax.while_loop(goes_on, iterate, first)
    if plan.otherwise == "scan":
        states = jax.lax.cond(residual <= plan.tolerance, lambda: states, lambda: _scanned(system, problem))
    return Found(states, iterations, residual)


def _scanned(system: System, problem: Problem) -> State:
    """The states of a plain loop."""
    own = problem.params, problem.reset_state, problem.hidden_mask

    def step(state: State, xs: Any) -> tuple[State, State]:
        after = system.carried(*own, state, *xs)
        return after, after

    return jax.lax.scan(step, problem.initial_state, (problem.inputs, problem.flags))[1]


def _forward(cell: Cell, plan: Plan, problem: Problem) -> tuple[Found, tuple[Problem, State]]:
    # Through the custom gradient, so that second derivatives do not differentiate the iteration.
    found: Any = solve_states(cell, plan, problem)
    return found, (problem, found.states)


def _backward(cell: Cell, plan: Plan, saved: tuple[Problem, State], cotangents: Found) -> tuple[Problem]:
    """`g_t = d_t + A_{t+1}^T g_{t+1}` with the exact Jacobians at the solution, then the pullback of all steps."""
    problem, states = saved
    system, d_states = System(cell, plan.by_unit), cotangents.states
    before = before_steps(problem.initial_state, states)

    def in_a_loop() -> State:
        own = problem.params, problem.reset_state, problem.hidden_mask

        def back(d_after: State, xs: Any) -> tuple[State, State]:
            d_state, state, inputs, flags = xs
            total = jax.tree.map(jnp.add, d_state, d_after)
            _, pullback = jax.vjp(lambda state: system.carried(*own, state, inputs, flags), state)
            return pullback(total)[0], total

        none = jax.tree.map(lambda leaf: jnp.zeros_like(leaf[0]), d_states)
        return jax.lax.scan(back, none, (d_states, before, problem.inputs, problem.flags), reverse=True)[1]

    def at_once() -> State:
        matrices, vectors = system.jacobians(problem, before), jax.vmap(system.pack)(d_states)
        totals = jax.linear_transpose(lambda given: solve_linear(matrices, given), vectors)(vectors)[0]
        return jax.vmap(system.unpack)(totals, d_states)

    # The blocks by unit are the whole Jacobian only without a recurrent map.
    if plan.by_unit and isinstance(cell, PointwiseCell) and cell.recurrent_map is not None:
        totals = in_a_loop()
    else:
        totals = at_once()
        # A product of many Jacobians may overflow where the gradient does not.
        finite = jnp.array([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(totals)]).all()
        totals = jax.lax.cond(finite, lambda: totals, in_a_loop)

    def steps(params: Any, inputs: jax.Array, before: State, reset_state: State) -> State:
        return system.all_steps(problem._replace(params=params, inputs=inputs, reset_state=reset_state), before)

    _, pullback = jax.vjp(steps, problem.params, problem.inputs, before, problem.reset_state)
    d_params, d_inputs, d_before, d_reset = pullback(totals)
    d_initial = jax.tree.map(lambda leaf: leaf[0], d_before)
    return (Problem(d_params, d_inputs, d_initial, d_reset, None, None),)  # pyright: ignore[reportArgumentType]


solve_states.defvjp(_forward, _backward)
