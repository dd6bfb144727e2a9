"""What `benchmarks.newton` measures of one case: how `Newton` converges, how chaotic the recurrence is, and times."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.numbers import deviation, draw
from benchmarks.tables import described
from benchmarks.timing import Spread, interleaved
from benchmarks.work import Shape
from rnnjax import Associative, Cell, Chunked, LinearCell, Newton, PointwiseCell, Recurrence, Scan
from rnnjax.cells.names import cell_by_name

BASELINE = "Scan()"
# Matrices of all steps above this are not built. A solve holds about three of them.
MOST_BYTES = 1_000_000_000
# The largest allowed deviation of outputs from those of Scan, where Newton says that it converged: its tolerance times
# the growth of errors in a recurrence that is not chaotic.
LARGEST_DEVIATION = 1e-3


@dataclasses.dataclass(frozen=True)
class Case:
    """A cell whose recurrent weights are multiplied by `gain`, and the sizes of a run."""

    cell: str
    gain: float
    time: int
    batch: int
    input: int
    hidden: int

    @property
    def shape(self) -> Shape:
        return Shape(self.batch, self.time, self.input, self.hidden)


def with_gain(cell: Cell, params: Any, gain: float) -> Any:
    """The parameters with the recurrent kernel, or the vectors of a cell without one, multiplied by the gain."""
    if params.recurrent is not None:
        return params._replace(recurrent=params.recurrent._replace(kernel=gain * params.recurrent.kernel))
    if isinstance(cell, LinearCell):
        return params  # its Jacobian is its decay
    return params._replace(extras=jax.tree.map(lambda leaf: gain * leaf, params.extras))


@functools.partial(jax.jit, static_argnums=0)
def largest_exponent(cell: Cell, params: Any, inputs: jax.Array, state: Any, key: jax.Array) -> jax.Array:
    """The largest Lyapunov exponent of a run, the mean over its rows: `1/T sum_t log |A_t q_{t-1}|`.

    `A_t` is the Jacobian of step t, and q is the direction `A_t q_{t-1}` with length 1, from a random start. Above 0,
    neighbouring states part: the recurrence is chaotic. Source: Benettin et al. 1980.
    """

    def normalised(change: Any) -> tuple[jax.Array, Any]:
        length = jnp.sqrt(sum((leaf**2).reshape(leaf.shape[0], -1).sum(1) for leaf in jax.tree.leaves(change)))
        return length, jax.tree.map(lambda leaf: leaf / length.reshape(-1, *[1] * (leaf.ndim - 1)), change)

    def step(carry: tuple[Any, Any], x: jax.Array) -> tuple[tuple[Any, Any], jax.Array]:
        before, direction = carry
        after, change = jax.jvp(lambda state: cell.step(params, x, state), (before,), (direction,))
        length, direction = normalised(change)
        return (after, direction), jnp.log(length)

    keys = jax.tree.unflatten(jax.tree.structure(state), list(jax.random.split(key, len(jax.tree.leaves(state)))))
    start = jax.tree.map(lambda leaf, own: jax.random.normal(own, leaf.shape, leaf.dtype), state, keys)
    _, logarithms = jax.lax.scan(step, (state, normalised(start)[1]), inputs)
    return logarithms.mean()


def contestants(cell: Cell, case: Case) -> dict[str, Recurrence]:
    """The recurrences of a case by name: Newton with the whole Jacobian and, if it is another, with its diagonal."""
    found: dict[str, Recurrence] = {BASELINE: Scan(), "Chunked()": Chunked()}
    if isinstance(cell, LinearCell):
        return found | {"Associative()": Associative()}
    numbers = sum(leaf.shape[1] for leaf in jax.tree.leaves(cell.init_state(1, case.hidden)))
    by_unit = isinstance(cell, PointwiseCell) and cell.elementwise
    if by_unit and cell.recurrent_map is None:  # pyright: ignore[reportAttributeAccessIssue]
        return found | {"Newton()": Newton()}
    if 4 * case.time * case.batch * numbers**2 <= MOST_BYTES:
        found["Newton(method='dense')"] = Newton(method="dense")
    return found | ({"Newton(method='diagonal')": Newton(method="diagonal")} if by_unit else {})


def measure(case: Case, rounds: int) -> dict[str, Any]:
    """The row of a case: the exponent and, by recurrence, the seconds of a gradient and how Newton went.

    A recurrence that fails, or whose outputs are wrong, has a reason in place of its seconds.
    """
    cell = cell_by_name(case.cell)
    params, inputs, _ = draw(cell, case.shape)
    params, inputs = jax.tree.map(jnp.asarray, (with_gain(cell, params, case.gain), inputs))
    state = cell.init_state(case.batch, case.hidden)
    real = all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(state))
    exponent = float(largest_exponent(cell, params, inputs, state, jax.random.key(0))) if real else None
    want, calls, results = None, {}, {}
    for name, recurrence in contestants(cell, case).items():
        try:
            outputs, results[name] = went(cell, recurrence, params, inputs, state)
            want = outputs if want is None else want
            off = deviation(outputs, want)
            # Of a chaotic recurrence nothing else can be expected than that the residual is small.
            if not off <= LARGEST_DEVIATION and not (exponent or 0) > 0:
                raise ArithmeticError(f"wrong: deviation of {off:.1e}, allowed {LARGEST_DEVIATION:.0e}")
            compiled = jax.jit(gradient, static_argnums=(0, 1)).lower(cell, recurrence, params, inputs, state).compile()
            calls[name] = functools.partial(compiled, params, inputs, state)
            results[name]["deviation"] = off if np.isfinite(off) else None
        except Exception as error:  # the other recurrences are measured all the same
            results[name] = {"reason": described(error)}
    seconds = interleaved(calls, rounds)
    for name, own in seconds.items():
        results[name] |= {"seconds": Spread.of(own), "scan_ratio": Spread.of(own / seconds.get(BASELINE, own))}
    return {"case": dataclasses.asdict(case), "exponent": exponent, "recurrences": results}


def went(
    cell: Cell, recurrence: Recurrence, params: Any, inputs: jax.Array, state: Any
) -> tuple[np.ndarray, dict[str, Any]]:
    """The outputs and, for `Newton`, iterations, residual and whether it converged."""
    if not isinstance(recurrence, Newton):
        return np.asarray(jax.jit(functools.partial(recurrence, cell))(params, inputs, state)[0]), {}
    found = jax.jit(functools.partial(recurrence.solve, cell))(params, inputs, state)
    residual = float(found.residual)
    how: Mapping[str, Any] = {
        "iterations": int(found.iterations),
        "residual": residual if np.isfinite(residual) else None,
        "converged": bool(found.converged),
    }
    return np.asarray(found.outputs), dict(how)


def gradient(cell: Cell, recurrence: Recurrence, params: Any, inputs: jax.Array, state: Any) -> Any:
    """The gradients of half the mean square of all outputs for parameters and inputs."""

    def loss(params: Any, inputs: jax.Array) -> jax.Array:
        return 0.5 * (recurrence(cell, params, inputs, state)[0] ** 2).mean()

    return jax.grad(loss, (0, 1))(params, inputs)
