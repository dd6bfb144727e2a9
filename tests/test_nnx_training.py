"""The NNX layers under the tools of `flax.nnx`: jit, gradients, ensembles, optimizers, checkpoints and streams."""

import copy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx
from nnx_layers import arguments, assert_equal, layer_of, stack

from rnnjax import GRU, LSTM, Elman
from rnnjax.nnx import RNN, StackedRNN, to_linen

pytestmark = pytest.mark.usefixtures("quick_compile")


def squares(layer: Any, inputs: Any, **options: Any) -> jax.Array:
    return (layer(inputs, **options)[0] ** 2).sum()


@pytest.mark.slow
def test_value_and_grad_under_jit_is_linens():
    layer, (inputs, states, resets, (lengths, flags)) = stack(norm="rms", residual=True, rngs=nnx.Rngs(0))

    @nnx.jit
    def ours(layer):
        return nnx.value_and_grad(
            lambda layer: squares(
                layer, inputs, initial_state=states, lengths=lengths, resets=flags, reset_state=resets
            )
        )(layer)

    @jax.jit
    def linens(params):
        def loss(params):
            outputs = layer.linen.apply({"params": params}, inputs, states, lengths, flags, reset_state=resets)[0]
            return (outputs**2).sum()

        return jax.value_and_grad(loss)(params)

    value, gradients = ours(layer)
    want = linens(to_linen(layer))
    assert_equal((value, nnx.to_pure_dict(gradients)), want)
    assert all(np.abs(leaf).max() > 1e-4 for leaf in jax.tree.leaves(want))


def ensemble(make: Any, rngs: nnx.Rngs) -> Any:
    @nnx.split_rngs(splits=3)
    @nnx.vmap
    def members(rngs):
        return make(rngs)

    return members(rngs)


def member(layers: Any, i: int) -> Any:
    definition, state = nnx.split(layers)
    return nnx.merge(definition, jax.tree.map(lambda leaf: leaf[i], state))


@pytest.mark.slow
def test_a_member_of_an_ensemble_is_the_member_alone():
    inputs = arguments(LSTM())[0]
    layers = ensemble(
        lambda rngs: RNN(LSTM(), 3, 4, zoneout=0.3, input_dropout=0.3, learn_initial_state=True, rngs=rngs), nnx.Rngs(7)
    )
    kernels = layers.cell.input.kernel[...]
    assert kernels.shape == (3, 3, 16)
    assert np.abs(kernels[0] - kernels[1]).max() > 0.1
    alone = nnx.jit(lambda layer, **options: (layer(inputs, **options), nnx.grad(squares)(layer, inputs)))
    (outputs, _), gradients = nnx.vmap(lambda layer: (layer(inputs), nnx.grad(squares)(layer, inputs)))(layers)

    @nnx.split_rngs(splits=3)
    @nnx.vmap
    def trained(rngs, layer):
        return layer(inputs, rngs=rngs)[0]

    noisy = trained(nnx.Rngs(dropout=5), layers)
    keys = nnx.Rngs(dropout=5).dropout.split(3)
    for i in range(3):
        (own, _), own_gradients = alone(member(layers, i))
        np.testing.assert_allclose(outputs[i], own, rtol=2e-6, atol=2e-6)
        jax.tree.map(
            lambda all_of_them, one, i=i: np.testing.assert_allclose(all_of_them[i], one, rtol=5e-6, atol=5e-6),
            nnx.to_pure_dict(gradients),
            nnx.to_pure_dict(own_gradients),
        )
        (dropped, _), _ = alone(member(layers, i), rngs=keys.key[...][i])
        np.testing.assert_allclose(noisy[i], dropped, rtol=2e-6, atol=2e-6)
        assert np.abs(dropped - own).max() > 1e-2


class Regression(nnx.Module):
    """The mean of a sequence, from the output at its last step."""

    def __init__(self, rngs):
        self.recurrent = StackedRNN([RNN(GRU(), 1, 8, rngs=rngs), RNN(LSTM(), 8, 8, rngs=rngs)], dropout=0.1)
        self.head = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, inputs, lengths, rngs=None):
        _, final = self.recurrent(inputs, lengths=lengths, rngs=rngs)
        return self.head(self.recurrent.last(final))[:, 0]


def test_an_optimizer_trains_a_regression():
    random = np.random.default_rng(0)
    inputs = jnp.asarray(random.normal(size=(32, 6, 1)), jnp.float32)
    lengths = jnp.asarray(random.integers(1, 7, 32), jnp.int32)
    valid = jnp.arange(6)[None] < lengths[:, None]
    targets = jnp.where(valid, inputs[..., 0], 0).sum(1) / lengths
    model = Regression(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
    rngs, traces = nnx.Rngs(dropout=1), []

    @nnx.jit
    def train_step(model, optimizer, rngs):
        traces.append(1)
        # An argument of what is differentiated, as NNX asks of all that changes there.
        loss, gradients = nnx.value_and_grad(
            lambda model, rngs: ((model(inputs, lengths, rngs) - targets) ** 2).mean()
        )(model, rngs)
        optimizer.update(model, gradients)
        return loss

    for _ in range(150):
        train_step(model, optimizer, rngs)
    assert len(traces) == 1
    assert int(rngs.dropout.count[...]) == 150
    trained = float(((model(inputs, lengths) - targets) ** 2).mean())
    assert trained < 0.1 * float(jnp.var(targets))


@pytest.mark.slow
def test_a_checkpoint_comes_back_to_the_bit(tmp_path):
    def make() -> Any:
        layers = [
            RNN(LSTM(), 3, 4, learn_initial_state=True, zoneout={"hidden": 0.1}, rngs=nnx.Rngs(3)),
            RNN(Elman(), 4, 4, param_dtype=jnp.bfloat16, rngs=nnx.Rngs(4)),
        ]
        return StackedRNN(layers, norm="layer", rngs=nnx.Rngs(0))

    layer, inputs = make(), arguments(LSTM())[0]
    layer.layers_0.initial_state.hidden[...] += 0.5
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", nnx.state(layer))
        checkpointer.wait_until_finished()
        empty = nnx.eval_shape(make)
        definition, shapes = nnx.split(empty)
        restored = nnx.merge(definition, checkpointer.restore(tmp_path / "state", shapes))
        # And as the plain dict that Linen's variables are.
        checkpointer.save(tmp_path / "params", to_linen(layer))
        checkpointer.wait_until_finished()
        params = checkpointer.restore(tmp_path / "params")
    assert nnx.graphdef(restored) == nnx.graphdef(layer)
    assert_equal(to_linen(restored), to_linen(layer))
    assert_equal(restored(inputs), layer(inputs))
    assert_equal(params, to_linen(layer))
    assert np.abs(layer(inputs)[0] - make()(inputs)[0]).max() > 1e-3


@pytest.mark.slow
def test_split_merge_and_copies_are_equal_layers():
    layer, (inputs, *_) = stack(norm="layer", rngs=nnx.Rngs(0))
    outputs = layer(inputs)
    for other in (nnx.merge(*nnx.split(layer)), nnx.clone(layer), copy.deepcopy(layer)):
        assert other is not layer
        assert nnx.graphdef(other) == nnx.graphdef(layer)
        assert hash(nnx.graphdef(other)) == hash(nnx.graphdef(layer))
        assert_equal(other(inputs), outputs)
    assert nnx.graphdef(layer_of(LSTM())) == nnx.graphdef(layer_of(LSTM()))
    assert nnx.graphdef(layer_of(LSTM())) != nnx.graphdef(layer_of(LSTM(), zoneout=0.1))


@pytest.mark.quick("one")
@pytest.mark.parametrize("kind", ["one", "stack"])
def test_steps_are_the_call_and_compile_once(kind):
    layer = layer_of(GRU(), learn_initial_state=True)
    if kind == "stack":
        layer = StackedRNN([layer, layer_of(LSTM(), inputs=4)], residual=True)
    inputs, *_, (_, resets) = arguments(GRU())
    traces = []

    @nnx.jit
    def step(layer, inputs, state, resets):
        traces.append(1)
        return layer.step(inputs, state, resets)

    state, outputs = layer.initial_state(inputs.shape[0]), []
    for t in range(inputs.shape[1]):
        output, state = step(layer, inputs[:, t], state, resets[:, t])
        outputs.append(output)
    assert len(traces) == 1
    want, final = layer(inputs, resets=resets)
    np.testing.assert_allclose(np.stack(outputs, 1), want, rtol=2e-6, atol=2e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6, atol=2e-6), state, final)
    assert np.abs(want - layer(inputs)[0]).max() > 1e-2


@pytest.mark.slow
def test_layers_are_trees_that_jax_itself_takes():
    layer, inputs = layer_of(LSTM()), arguments(LSTM())[0]
    assert_equal(jax.jit(lambda layer: layer(inputs))(layer), nnx.jit(lambda layer: layer(inputs))(layer))
    gradients = jax.jit(jax.grad(squares))(layer, inputs)
    assert_equal(to_linen(gradients), nnx.to_pure_dict(nnx.jit(nnx.grad(squares))(layer, inputs)))
