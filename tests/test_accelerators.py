"""What can be shown of GPUs and TPUs without one: that programs are lowered for them, and the weights of cuDNN."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.experimental import rnn
from reference import assert_close
from tables import CELLS, FEW_RECURRENCES, HIDDEN, INPUT, assert_runs_close, make_problem, run_fast, run_oracle

from rnnjax import GRU, LSTM, RNN, Conv, CuDNN, Scan
from rnnjax.cells import PointwiseCell
from rnnjax.recurrences import Chunked, Noise
from rnnjax.recurrences.cudnn import from_cudnn, to_cudnn

PLATFORMS = ("cuda", "tpu")


@pytest.mark.quick("lstm-*", "gru-boundaries", "conv_lstm-scan", "slstm-scan")
@pytest.mark.parametrize(
    ("name", "recurrence"),
    [
        pytest.param(*case, id="-".join(case))
        for case in itertools.product(CELLS, FEW_RECURRENCES)
        if isinstance(CELLS[case[0]], PointwiseCell) or not isinstance(FEW_RECURRENCES[case[1]], Chunked)
    ],
)
def test_every_cell_is_lowered_for_gpus_and_tpus(name, recurrence):
    cell, run = CELLS[name], FEW_RECURRENCES[recurrence]
    problem = jax.tree.map(jnp.asarray, make_problem(cell, "lengths_and_resets"))

    def loss(params, inputs, state):
        given = {field: getattr(problem, field) for field in ("lengths", "resets", "reset_state")}
        values = jax.tree.leaves(run(cell, params, inputs, state, **given))
        return sum(abs(leaf.astype(jnp.complex64)).sum() for leaf in values)

    function = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    program = export.export(function, platforms=PLATFORMS)(problem.params, problem.inputs, problem.state)
    assert program.platforms == PLATFORMS
    assert "stablehlo.custom_call" not in program.mlir_module()  # nothing that only a CPU has


@pytest.fixture
def stand_in(monkeypatch):
    """JAX's own reference implementation in place of cuDNN, which only GPUs have."""

    unpacked: Any = rnn.unpack_lstm_weights
    reference: Any = rnn.lstm_ref

    def lstm(inputs, hidden, cell, weights, lengths, *sizes):
        layers = unpacked(weights, *sizes[:3], sizes[4])
        return reference(inputs, hidden, cell, *layers, lengths, *sizes)

    monkeypatch.setattr(rnn, "lstm", lstm)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("mode", ["plain", "lengths"])
@pytest.mark.parametrize("second_bias", [False, True])
def test_cudnn_has_the_numbers_of_the_oracle(second_bias, mode, reverse):
    cell = LSTM(second_bias=second_bias)
    problem = make_problem(cell, mode)
    want = (
        run_fast(cell, Scan(), problem, reverse=reverse)
        if second_bias
        else run_oracle("lstm", problem, reverse=reverse)
    )
    assert_runs_close(run_fast(cell, CuDNN(), problem, reverse=reverse), want)


@pytest.mark.usefixtures("stand_in")
def test_it_runs_in_a_layer():
    inputs, lengths = jax.random.normal(jax.random.key(0), (3, 5, INPUT)), jnp.array([5, 0, 2])
    layers = [RNN(LSTM(), HIDDEN, recurrence) for recurrence in (CuDNN(), Scan())]
    params = layers[0].init(jax.random.key(1), inputs)
    got, want = (layer.apply(params, inputs, lengths=lengths) for layer in layers)
    assert_close(got, want, "values")


@pytest.mark.parametrize("second_bias", [False, True])
def test_weights_go_there_and_back(second_bias):
    cell = LSTM(second_bias=second_bias)
    params = make_problem(cell).params
    weights = to_cudnn(params)
    assert weights.shape == (rnn.get_num_params_in_lstm(INPUT, HIDDEN, 1, False),)
    again = from_cudnn(weights, INPUT, HIDDEN, second_bias=second_bias)
    jax.tree.map(np.testing.assert_array_equal, again, params)
    one = from_cudnn(weights, INPUT, HIDDEN)
    biases = [part.bias for part in (params.input, params.recurrent) if part.bias is not None]
    np.testing.assert_array_equal(one.input.bias, sum(biases))
    with pytest.raises(ValueError, match=rf"weights: expected shape \({weights.size},\), got \(7,\)"):
        from_cudnn(jnp.zeros(7), INPUT, HIDDEN)


CANNOT: dict[str, tuple[Any, dict[str, Any], str]] = {
    "cell": (GRU(), {}, "CuDNN: expected an LSTM with dense maps, got GRU"),
    "map": (
        LSTM(input_map=Conv((1,)), recurrent_map=Conv((1,))),
        {},
        "CuDNN: expected an LSTM with dense maps, got LSTM",
    ),
    "resets": (LSTM(), {"resets": jnp.ones((6, 4), bool)}, "CuDNN: expected no resets, which cuDNN does not have"),
    "zoneout": (
        LSTM(),
        {"noise": Noise(hold={"hidden": jnp.ones((6, 4, HIDDEN), bool)})},
        "CuDNN: expected no zoneout, which cuDNN does not have",
    ),
    "states": (LSTM(), {"all_states": True}, "CuDNN: expected no states of all steps, which cuDNN does not have"),
    "platform": (LSTM(), {}, "CuDNN: expected a GPU, got cpu; use Chunked or Scan"),
}


@pytest.mark.parametrize(("cell", "given", "message"), CANNOT.values(), ids=CANNOT.keys())
def test_what_cudnn_cannot_do_is_refused(cell, given, message):
    sizes = ((2, INPUT), (2, HIDDEN)) if message.endswith("got LSTM") else None
    problem = jax.tree.map(jnp.asarray, make_problem(cell, time=6, batch=4, sizes=sizes))
    with pytest.raises((TypeError, ValueError, RuntimeError), match=message):
        CuDNN()(cell, problem.params, problem.inputs, problem.state, **given)


def test_other_dtypes_are_refused():
    cell = LSTM()
    problem = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), make_problem(cell))
    with pytest.raises(ValueError, match="CuDNN: expected float32, got bfloat16"):
        CuDNN()(cell, problem.params, problem.inputs, problem.state)
