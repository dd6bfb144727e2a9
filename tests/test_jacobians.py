"""Jacobians unit by unit against dense ones, of every cell that says it is elementwise."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import FLOAT64_TOLERANCE, assert_close, error
from tables import BATCH, CELLS, HIDDEN, INPUT, ORACLE_CELLS, make_problem, slow_unless

from rnnjax.cells import (
    GRU,
    LSTM,
    CellParams,
    Elman,
    GRUResetBefore,
    LayerNormLSTM,
    PointwiseCell,
    step_jacobian,
    unit_jacobians,
)
from rnnjax.maps import Dense
from rnnjax.parametrizations import Orthogonal, WeightNorm

pytestmark = pytest.mark.usefixtures("quick_compile")

# Largest error measured: 3.6e-7.
FLOAT32_JACOBIAN_TOLERANCE = 1e-6

ELEMENTWISE = {
    name: cell for name, cell in ORACLE_CELLS.items() if isinstance(cell, PointwiseCell) and cell.elementwise
}
# The variants of one class in the one in which a wrong term cannot hide.
CASES = [(name, np.float32) for name in ELEMENTWISE if name in CELLS] + [(name, np.float64) for name in ELEMENTWISE]
cases = pytest.mark.parametrize(
    ("name", "dtype"),
    slow_unless(lambda name, dtype: name in ("lstm", "conv_lstm", "slstm", "mgu") and dtype == np.float64, CASES),
)


def close(got, want, group, dtype):
    wide = dtype == np.float64
    tolerance = FLOAT64_TOLERANCE if wide else FLOAT32_JACOBIAN_TOLERANCE
    assert_close(got, want, group, tolerance=tolerance, kind="float64" if wide else "float32")


def at_random(cell, dtype=np.float32):
    """Parameters, `x_t` and a state, none of them zero, and what `update` is given."""
    problem = make_problem(cell, time=1, batch=3, dtype=dtype, seed=2)
    params, x, state = jax.tree.map(jnp.asarray, (problem.params, problem.inputs[0], problem.state))
    effective, own = cell.effective(params)
    return params, x, state, (own.extras, *effective.pre_activations(own, x, state.hidden), state)


def dense_of_blocks(units, width):
    """`(B, gates, *hidden)` as the dense Jacobian `(B, *hidden, B, *spatial, gates * width)` of `jax.jacfwd`."""
    batch, gates, *hidden = units.shape
    size = int(np.prod(hidden))
    flat = units.reshape(batch, gates, size)
    whole = jnp.einsum("bgu,bc,uv->bucvg", flat, jnp.eye(batch), jnp.eye(size))
    spatial = hidden[:-1]
    whole = jnp.moveaxis(whole.reshape(batch, *hidden, batch, *spatial, width, gates), -1, -2)
    return whole.reshape(batch, *hidden, batch, *spatial, gates * width)


def dense_of_fields(jacobians):
    """Nested states of `(B, *hidden)` as those of `(B, *hidden, B, *hidden)`."""
    return jax.tree.map(lambda units: dense_of_blocks(units[:, None], units.shape[-1]), jacobians)


def dense_update(cell, given):
    """The Jacobians of `update` for a, r and the state, with everything that mixes in them."""
    by_field = jax.jit(jax.jacfwd(cell.update, argnums=(1, 2, 3)))(*given)
    return tuple(type(by_field)(*parts) for parts in zip(*by_field, strict=True))


def dense_units(cell, given):
    width = given[-1].hidden.shape[-1]
    units = jax.jit(unit_jacobians, static_argnums=0)(cell, *given)
    inputs, recurrent = (jax.tree.map(lambda leaf: dense_of_blocks(leaf, width), each) for each in units[:2])
    return inputs, recurrent, dense_of_fields(units.state)


@cases
def test_unit_jacobians_are_the_dense_ones(name, dtype):
    cell = ELEMENTWISE[name]
    with jax.enable_x64(dtype == np.float64):
        *_, given = at_random(cell, dtype)
        got, want = dense_units(cell, given), dense_update(cell, given)
    assert all(np.abs(leaf).max() > 1e-2 for leaf in jax.tree.leaves(want[0]))
    for part, left, right in zip(("inputs", "recurrent", "state"), got, want, strict=True):
        close(left, right, f"Jacobians of {part}", dtype)


@cases
def test_a_steps_jacobian_is_the_dense_one(name, dtype):
    cell = ELEMENTWISE[name]
    with jax.enable_x64(dtype == np.float64):
        params, x, state, _ = at_random(cell, dtype)
        got = jax.jit(step_jacobian, static_argnums=0)(cell, params, x, state)
        dense = jax.jit(jax.jacfwd(lambda before: cell.step(params, x, before)))(state)
    hidden = state.hidden.ndim - 1
    # No row reads another one: what stands on the diagonal of both batch axes is all there is.
    want = jax.tree.map(lambda leaf: jnp.moveaxis(jnp.diagonal(leaf, axis1=0, axis2=hidden + 1), -1, 0), dense)
    close(got, want, "Jacobians of a step", dtype)


@pytest.mark.slow
@pytest.mark.parametrize("parametrization", [WeightNorm(), Orthogonal()])
def test_a_steps_jacobian_is_that_of_the_kernel_itself(parametrization):
    cell = GRU(recurrent_map=Dense(parametrization))
    params, x, state, _ = at_random(cell)
    dense = jax.jacfwd(lambda before: cell.step(params, x, before))(state).hidden.hidden
    got = step_jacobian(cell, params, x, state).hidden.hidden
    close(got, jnp.stack([dense[b, :, b] for b in range(len(x))]), "Jacobians of a step", np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixing(Elman):
    """Says that it is elementwise, and reads its neighbour."""

    def update(self, extras, inputs, recurrent, state):
        return state._replace(hidden=jnp.tanh(inputs + jnp.roll(recurrent, 1, axis=-1) + state.hidden))


def test_a_cell_that_is_not_what_it_says_is_caught():
    cell = Mixing()
    assert cell.elementwise
    *_, given = at_random(cell)
    got, want = dense_units(cell, given), dense_update(cell, given)
    assert error(got[0], want[0]) <= FLOAT32_JACOBIAN_TOLERANCE
    assert error(got[1], want[1]) > 0.1 > FLOAT32_JACOBIAN_TOLERANCE


@pytest.mark.parametrize("cell", [LayerNormLSTM(), GRUResetBefore()])
def test_a_cell_that_mixes_units_has_none(cell):
    params, x, state, (extras, inputs, recurrent, _) = at_random(cell)
    message = f"expected a cell whose update is elementwise, got {type(cell).__name__}"
    with pytest.raises(ValueError, match=message):
        unit_jacobians(cell, extras, inputs, recurrent, state)
    with pytest.raises(ValueError, match=message):
        step_jacobian(cell, params, x, state)


class Counted(NamedTuple):
    hidden: jax.Array
    steps: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counter(PointwiseCell):
    """An Elman cell that counts its steps."""

    gates = 1
    state_type = Counted
    elementwise = True

    def init_state(self, batch_size, hidden_size, dtype=jnp.float32):
        hidden = jnp.zeros((batch_size, hidden_size), dtype)
        return Counted(hidden, jnp.zeros(hidden.shape, jnp.int32))

    def update(self, extras, inputs, recurrent, state):
        return Counted(jnp.tanh(inputs + recurrent) / (1 + state.steps.astype(inputs.dtype)), state.steps + 1)


def test_integers_have_no_derivative():
    cell = Counter()
    params = cell.init_params(jax.random.key(0), INPUT, HIDDEN)
    x = jax.random.normal(jax.random.key(1), (BATCH, INPUT))
    state = Counted(x[:, :1] * jnp.ones(HIDDEN)[None], jnp.ones((BATCH, HIDDEN), jnp.int32))
    given = cell.pre_activations(params, x, state.hidden)
    units = unit_jacobians(cell, None, *given, state)
    slope = (1 - jnp.tanh(sum(given)) ** 2) / 2
    np.testing.assert_allclose(units.inputs.hidden, slope[:, None], rtol=1e-6)
    assert units.inputs.steps is None
    assert units.state.steps is None
    assert units.state.hidden.steps is None
    dense = step_jacobian(cell, params, x, state)
    assert dense.steps is None
    assert params.recurrent is not None
    want = jnp.einsum("bu,vu->buv", slope, params.recurrent.kernel)
    np.testing.assert_allclose(dense.hidden.hidden, want, rtol=1e-5, atol=1e-7)


def test_they_are_float32_at_least():
    cell = LSTM()
    params, x, state, _ = at_random(cell)
    narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), (params, x, state))
    assert {leaf.dtype for leaf in jax.tree.leaves(step_jacobian(cell, *narrow))} == {jnp.dtype("float32")}
    # Of a slope that rounds to nothing in bfloat16.
    high = CellParams(*params)._replace(input=params.input._replace(bias=params.input.bias + 7))
    given = cell.pre_activations(high, x, state.hidden)
    narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), (*given, state))
    assert (np.abs(unit_jacobians(cell, None, *narrow).inputs.cell[:, :2]) > 0).all()
