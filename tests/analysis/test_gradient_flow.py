"""Gradient norms and Jacobian products against float64 NumPy, by hand and at sizes that float32 cannot hold."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import tables
from tables import CELLS, CLASSICS, HIDDEN, INPUT, make_problem, replaced

from rnnjax.analysis import gradient_norms, jacobian_products
from rnnjax.cells import Cell, Elman

pytestmark = pytest.mark.usefixtures("quick_compile")

# Relative error of what the logarithms stand for. Largest measured: 5.3e-6, of a product through saturated tanh.
TOLERANCE = 2e-5
# Over 500 steps, of logarithms up to 150, one unit in whose last place is 1.5e-5. Largest measured: 6.8e-5.
LONG_TOLERANCE = 2e-4

# Of the cells further than the classics those whose step is of another kind: features mix, and there is no R.
every_cell = pytest.mark.parametrize("name", [*CLASSICS, "layer_norm_lstm", "indrnn"])


def assert_close(got, want, tolerance=TOLERANCE):
    """Both logarithms to base 10; the relative error of the numbers that they stand for."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    assert got.shape == want.shape
    np.testing.assert_array_equal(np.isneginf(got), np.isneginf(want))
    with np.errstate(invalid="ignore"):
        off = np.abs(np.expm1(np.log(10) * (got - want)))
    off = np.where(np.isneginf(want), 0, off)
    assert off.max() <= tolerance, f"relative error {off.max():.1e} is above {tolerance:.0e}"


def norms(*args):
    return jax.jit(gradient_norms, static_argnums=(0, 1))(*args)


def products(*args, field=None):
    return jax.jit(jacobian_products, static_argnums=0, static_argnames="field")(*args, field=field)


def float64(problem: Any) -> tuple[Any, Any, Any]:
    """(params, inputs, initial state) as the oracles take them."""
    params = {name: np.float64(leaf) for name, leaf in tables.flat(problem.params).items()}
    return params, np.float64(problem.inputs), tuple(np.float64(leaf) for leaf in problem.state)


@pytest.mark.quick("lstm", "layer_norm_lstm")
@every_cell
def test_gradients_are_those_of_backpropagation_by_hand(name):
    problem = make_problem(CELLS[name])
    params, inputs, initial = float64(problem)
    time, batch, _ = inputs.shape
    weights = [np.random.default_rng(i).normal(size=(time, batch, HIDDEN)) for i in range(len(initial))]

    def loss(states):
        return sum(jnp.sum(jnp.asarray(w, jnp.float32) * leaf) for w, leaf in zip(weights, states, strict=True))

    want = np.zeros((len(initial), time, batch))
    for b in range(batch):
        state, before = tuple(leaf[b] for leaf in initial), []
        for t in range(time):
            before.append(state)
            state = oracles.ORACLES[name].step(params, inputs[t, b], state)
        d_state = tuple(np.zeros_like(leaf) for leaf in state)
        for t in reversed(range(time)):
            d_state = tuple(d + w[t, b] for d, w in zip(d_state, weights, strict=True))
            want[:, t, b] = [np.linalg.norm(d) for d in d_state]
            d_state = oracles.ORACLES[name].back(params, inputs[t, b], before[t], d_state)[2]
    got = norms(loss, CELLS[name], problem.params, problem.inputs, problem.state)
    assert type(got.fields) is type(problem.state)
    assert_close(np.stack(got.fields), np.log10(want))
    assert_close(got.whole, np.log10(np.linalg.norm(want, axis=0)))


@pytest.mark.quick("lstm", "gru")
@every_cell
def test_products_are_those_of_numerical_jacobians(name):
    problem = make_problem(CELLS[name])
    params, inputs, initial = float64(problem)
    time, batch, _ = inputs.shape
    size = len(initial) * HIDDEN

    def step(x, flat):
        return np.concatenate(oracles.ORACLES[name].step(params, x, tuple(np.split(flat, len(initial)))))

    whole, hidden = np.zeros((2, time, batch))
    for b in range(batch):
        flat, jacobians = np.concatenate([leaf[b] for leaf in initial]), []
        for t in range(time):
            rows = [step(inputs[t, b], flat + d) - step(inputs[t, b], flat - d) for d in 1e-6 * np.eye(size)]
            jacobians.append(np.stack(rows, axis=1) / 2e-6)
            flat = step(inputs[t, b], flat)
        product = np.eye(size)
        for t in reversed(range(time)):
            whole[t, b] = np.linalg.svd(product)[1][0]
            hidden[t, b] = np.linalg.svd(product[:HIDDEN, :HIDDEN])[1][0]
            product = product @ jacobians[t]
    for field, want in ((None, whole), ("hidden", hidden)):
        got = products(CELLS[name], problem.params, problem.inputs, problem.state, field=field)
        with np.errstate(divide="ignore"):
            assert_close(got, np.log10(want))


class FastState(NamedTuple):
    """`hidden (B, H)` and fast weights `(B, H, H)`."""

    hidden: Any
    memory: Any


@dataclasses.dataclass(frozen=True)
class FastWeights(Cell):
    """A user's cell with a matrix product of its own in the step and a field of another shape."""

    def init_params(self, key, input_size, hidden_size, dtype=jnp.float32):
        raise NotImplementedError

    def init_state(self, batch_size, hidden_size, dtype=jnp.float32):
        return FastState(
            jnp.zeros((batch_size, hidden_size), dtype), jnp.zeros((batch_size, hidden_size, hidden_size), dtype)
        )

    def step(self, params, inputs, state):
        hidden = jnp.tanh(inputs @ params["kernel"] + jnp.einsum("bh,bhk->bk", state.hidden, state.memory))
        return FastState(hidden, 0.9 * state.memory + 0.3 * hidden[:, :, None] * state.hidden[:, None, :])


def test_any_cell_and_any_loss_agree_with_perturbed_states():
    random = np.random.default_rng(0)
    time, batch = 6, 3
    params = {"kernel": jnp.asarray(random.normal(size=(INPUT, 2)), jnp.float32)}
    inputs = jnp.asarray(random.normal(size=(time, batch, INPUT)), jnp.float32)
    state = FastState(*(jnp.asarray(random.normal(size=shape), jnp.float32) for shape in ((batch, 2), (batch, 2, 2))))
    cell = FastWeights()

    def loss(states):
        return jnp.sum(states.hidden**2 * states.memory[..., 0]) + jnp.sum(states.memory[-1] ** 3)

    def perturbed(nudges):
        def step(state, xs):
            x, nudge = xs
            state = jax.tree.map(jnp.add, cell.step(params, x, state), nudge)
            return state, state

        return loss(jax.lax.scan(step, state, (inputs, nudges))[1])

    zeros = jax.tree.map(lambda leaf: jnp.zeros((time, *leaf.shape)), state)
    gradient = jax.jit(jax.grad(perturbed))(zeros)
    got = norms(loss, cell, params, inputs, state)
    flat = [np.float64(leaf).reshape(time, batch, -1) for leaf in gradient]
    assert_close(got.fields.memory, np.log10(np.linalg.norm(flat[1], axis=-1)))
    assert_close(got.whole, np.log10(np.linalg.norm(np.concatenate(flat, -1), axis=-1)))

    def last(state):
        after = cell.step(params, inputs[-1, :1], jax.tree.map(lambda leaf: leaf[None], state))
        return jnp.concatenate([leaf.ravel() for leaf in after])

    @jax.jit
    def last_jacobian(before):
        for x in inputs[:-1]:
            before = cell.step(params, x, before)
        return jax.jacobian(last)(jax.tree.map(lambda leaf: leaf[0], before))

    blocks = last_jacobian(state)
    matrix = np.concatenate([np.float64(block).reshape(6, -1) for block in blocks], axis=1)
    got = products(cell, params, inputs, state)
    assert_close(got[-2:, 0], np.log10([np.linalg.svd(matrix)[1][0], 1]))


def linear(scale: float, time: int, activation: Any = "tanh", batch: int = 2, hidden: int = 8) -> Any:
    """(cell, params, inputs, state) of an Elman net whose step Jacobians are all `scale` times orthogonal."""
    cell = Elman(activation=activation)
    params = cell.init_params(jax.random.key(0), INPUT, hidden)
    params = replaced(params, recurrent_kernel=scale * params.recurrent.kernel)
    return cell, params, jnp.zeros((time, batch, INPUT)), cell.init_state(batch, hidden)


def last_hidden(states):
    return jnp.sum(states.hidden[-1] @ jnp.full(states.hidden.shape[-1], states.hidden.shape[-1] ** -0.5))


@pytest.mark.quick("0.9")
@pytest.mark.parametrize("scale", [0.5, 0.9, 1.0, 2.0])
def test_tanh_at_rest_is_linear_and_leaves_float32_unharmed(scale):
    problem = linear(scale, 500)
    want = np.tile(np.arange(499, -1, -1)[:, None] * np.log10(scale), (1, 2))
    assert_close(norms(last_hidden, *problem).whole, want, LONG_TOLERANCE)
    assert_close(products(*problem), want, LONG_TOLERANCE)


def test_relu_in_its_linear_regime_decays_exactly_as_the_scale():
    cell, params, inputs, state = linear(0.9, 60, "relu")
    # An input this large keeps every feature above zero, whatever the orthogonal kernel does with the others.
    params = replaced(params, bias=params.input.bias + 100)
    kernel = 0.9 * jnp.roll(jnp.eye(8), 3, axis=1)
    problem = (cell, replaced(params, recurrent_kernel=kernel), inputs, state)
    want = np.tile(np.arange(59, -1, -1)[:, None] * np.log10(0.9), (1, 2))
    assert_close(norms(last_hidden, *problem).whole, want)
    assert_close(products(*problem), want)


def test_the_size_of_the_loss_does_not_matter():
    problem = linear(0.9, 10)
    sized = jax.jit(lambda size: gradient_norms(lambda states: size * last_hidden(states), *problem).whole)
    for size in (1e-30, 1e30):
        assert_close(sized(size), sized(1.0) + np.float64(np.log10(size)))


def test_parts_of_a_loss_are_added_at_any_size():
    def loss(states):
        first, fourth = states.hidden[0].sum(), states.hidden[-4].sum()
        return states.hidden[-1].sum() + 0.125 * fourth + 1e-20 * first

    cell, params, inputs, state = linear(0.5, 300)
    problem = (cell, replaced(params, recurrent_kernel=0.5 * jnp.eye(8)), inputs, state)
    one = np.log10(np.sqrt(8))
    got = norms(loss, *problem).whole[:, 0]
    # Four steps back 0.5**3 arrives, and as much is added; at the first step 0.5**299 is nothing beside 1e-20.
    np.testing.assert_allclose(got[-5:], one + np.log10([0.125, 0.25, 0.25, 0.5, 1]), atol=1e-6)
    np.testing.assert_allclose(got[:2][::-1], [one + np.log10(0.25) - 295 * np.log10(2), one - 20], atol=2e-5)


def test_a_field_far_smaller_than_another_keeps_its_norm():
    cell = CELLS["lstm"]
    state = cell.init_state(2, HIDDEN)

    def loss(states):
        return jnp.sum(states.cell[-1]) + 1e-30 * jnp.sum(states.hidden[-1])

    params = cell.init_params(jax.random.key(0), INPUT, HIDDEN)
    got = norms(loss, cell, params, jnp.zeros((3, 2, INPUT)), state).fields
    np.testing.assert_allclose([got.hidden[-1], got.cell[-1]], np.log10([[2e-30] * 2, [2.0] * 2]), rtol=1e-6)


def test_sequences_of_a_batch_have_scales_of_their_own():
    cell, params, inputs, state = linear(1.5, 500)
    inputs = inputs.at[:, 1].set(50.0)  # saturated: its gradient vanishes while the other's explodes
    got = norms(last_hidden, cell, params, inputs, state).whole
    np.testing.assert_allclose(got[0, 0], 499 * np.log10(1.5), rtol=1e-5)
    assert got[0, 1] < -300


def test_a_dead_gradient_is_minus_infinity_and_an_overflow_nan():
    cell, params, inputs, state = linear(2.0, 60, "relu")
    dead = replaced(params, bias=params.input.bias - 1)
    got = norms(last_hidden, cell, dead, inputs, state).whole
    np.testing.assert_allclose(got[-1], 0, atol=1e-6)
    assert np.isneginf(got[:-1]).all()
    assert np.isneginf(products(cell, dead, inputs, state)[:-1]).all()
    overflowing = replaced(params, bias=params.input.bias + 1e30, recurrent_kernel=2 * jnp.eye(8))
    assert np.isnan(norms(last_hidden, cell, overflowing, inputs, state).whole).all()
    assert np.isnan(products(cell, overflowing, inputs, state)).all()


@pytest.mark.usefixtures("without_annotation_checks")
def test_what_does_not_fit_is_refused():
    cell, params, inputs, state = linear(1.0, 3)
    with pytest.raises(ValueError, match=r"loss: expected a scalar, got shape \(2, 8\)"):
        gradient_norms(lambda states: states.hidden[-1], cell, params, inputs, state)
    with pytest.raises(ValueError, match=r"field: expected one of \('hidden',\) or None, got 'cell'"):
        jacobian_products(cell, params, inputs, state, field="cell")
    for function in (jacobian_products, lambda *args: gradient_norms(last_hidden, *args)):
        with pytest.raises(ValueError, match=r"inputs: expected shape \(T, B, I\), got \(3, 2\)"):
            function(cell, params, inputs[..., 0], state)
