"""Keras, Flax and PyTorch, given our weights, give the numbers and gradients of the cells beyond the classics."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from reference import assert_close
from tables import BATCH, HIDDEN, INPUT, TIME, make_problem

from rnnjax import LSTMP, Chunked, ConvLSTM, GRUResetBefore
from rnnjax.cells import HiddenState, LSTMState

pytestmark = pytest.mark.usefixtures("quick_compile")

directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


def with_gradients(values, problem, *, cotangents):
    result, pullback = jax.vjp(jax.jit(values), problem.params, problem.inputs, problem.state)
    return result, pullback(cotangents)


def ours(cell, problem, reverse):
    def values(params, inputs, state):
        return Chunked(3)(cell, params, inputs, state, reverse=reverse)

    return with_gradients(values, problem, cotangents=problem.cotangents)


def keras_values(layer, weights, state_type, reverse):
    """What a Keras layer with `go_backwards` and our weights computes, time-major and in the order of time."""

    def values(params, inputs, state):
        (outputs, *final), _ = layer.stateless_call(
            weights(params),
            [variable.value for variable in layer.non_trainable_variables],
            jnp.swapaxes(inputs, 0, 1),
            initial_state=list(state),
        )
        outputs = jnp.swapaxes(outputs, 0, 1)
        return jnp.flip(outputs, 0) if reverse else outputs, state_type(*final)

    return values


@directions
def test_keras_gru_reset_before(reverse):
    problem = make_problem(GRUResetBefore())
    layer = keras.layers.GRU(HIDDEN, reset_after=False, return_sequences=True, return_state=True, go_backwards=reverse)
    layer.build((None, TIME, INPUT))

    def weights(params):
        """Keras has the update gate first, and the candidate's kernel in one with the others."""
        own, bias = (jnp.split(leaf, 3, -1) for leaf in (params.input.kernel, params.input.bias))
        recurrent = [*jnp.split(params.recurrent.kernel, 2, -1), params.extras["candidate_kernel"]]
        return [jnp.concatenate([z, r, n], -1) for r, z, n in (own, recurrent, bias)]

    values = keras_values(layer, weights, HiddenState, reverse)
    want = with_gradients(values, problem, cotangents=problem.cotangents)
    got = ours(GRUResetBefore(), problem, reverse)
    assert_close(got[0], want[0], "values")
    assert_close(got[1], want[1], "gradients")


@pytest.mark.quick("1 axis-reverse")
@directions
@pytest.mark.parametrize(("window", "spatial"), [((3,), (5,)), ((3, 2), (4, 3))], ids=["1 axis", "2 axes"])
def test_keras_conv_lstm(window, spatial, reverse):
    cell, sizes = ConvLSTM(window=window), ((*spatial, 2), (*spatial, 3))
    problem = make_problem(cell, batch=2, sizes=sizes, seed=4)
    kind = {1: keras.layers.ConvLSTM1D, 2: keras.layers.ConvLSTM2D}[len(window)]
    layer = kind(3, window, padding="same", return_sequences=True, return_state=True, go_backwards=reverse)
    layer.build((None, TIME, *sizes[0]))

    def weights(params):
        return [params.input.kernel, params.recurrent.kernel, params.input.bias]

    values = keras_values(layer, weights, LSTMState, reverse)
    want = with_gradients(values, problem, cotangents=problem.cotangents)
    got = ours(cell, problem, reverse)
    assert_close(got[0], want[0], "values")
    assert_close(got[1], want[1], "gradients")


def test_torch_lstm_with_a_projection():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: it is left for the user to install")
    cell = LSTMP(projection=2)
    problem = make_problem(cell)
    layer = torch.nn.LSTM(INPUT, HIDDEN, proj_size=2)
    params = problem.params
    weights = {
        "weight_ih_l0": params.input.kernel.T,
        "weight_hh_l0": params.recurrent.kernel.T,
        "weight_hr_l0": params.extras.projection.T,
        "bias_ih_l0": params.input.bias,
        "bias_hh_l0": np.zeros(4 * HIDDEN, np.float32),
    }
    layer.load_state_dict({name: torch.tensor(np.array(value)) for name, value in weights.items()})
    state = [torch.tensor(leaf)[None] for leaf in problem.state]
    outputs, final = layer(torch.tensor(problem.inputs), tuple(state))
    want = outputs.detach().numpy(), LSTMState(*(leaf.detach().numpy()[0] for leaf in final))
    assert want[0].shape == (TIME, BATCH, 2)
    got, _ = ours(cell, problem, reverse=False)
    assert_close(got, want, "values")
