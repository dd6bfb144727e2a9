"""Flax and Keras, given our weights, give our numbers and our gradients.

The weights are mapped inside what is differentiated, so that a peer's gradients come out as gradients of our
parameters and every one of them is compared. Outputs on padded steps are each library's own affair (Flax goes on,
Keras repeats the last one) and have no part in the comparison, values or gradients.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from tables import (
    CELLS,
    HIDDEN,
    INPUT,
    RECURRENCES,
    TIME,
    Problem,
    assert_runs_close,
    flat,
    make_problem,
    run,
    run_fast,
)

from rnnjax.cells import CellParams, HiddenState, LSTMState

pytestmark = pytest.mark.usefixtures("quick_compile")


class FlaxPeer(NamedTuple):
    """A Flax cell with the maps to its weights, to its carry, and from its carry."""

    cell: Callable[[], nn.RNNCellBase]
    weights: Callable[[CellParams], dict[str, dict[str, Any]]]
    carry: Callable[[Any], Any]
    state: Callable[[Any], Any]


def flax_elman(params: CellParams):
    return {"i": {"kernel": params.input.kernel, "bias": params.input.bias}, "h": {"kernel": params.recurrent.kernel}}


def flax_lstm(params: CellParams):
    arrays = flat(params)
    blocks = {name: jnp.split(arrays[name], 4, -1) for name in ("kernel", "recurrent_kernel", "bias")}
    weights = {}
    for gate, kernel, recurrent, bias in zip("ifgo", *blocks.values(), strict=True):
        weights["i" + gate] = {"kernel": kernel}
        weights["h" + gate] = {"kernel": recurrent, "bias": bias}
    return weights


def flax_gru(params: CellParams):
    """Flax has no recurrent bias for r and z, where it is the same as more of the other bias."""
    kernels, recurrents, biases, seconds = (
        jnp.split(flat(params)[name], 3, -1) for name in ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    )
    weights = {}
    for gate, kernel, recurrent, bias, second in zip("rzn", kernels, recurrents, biases, seconds, strict=True):
        own = gate == "n"
        weights["i" + gate] = {"kernel": kernel, "bias": bias if own else bias + second}
        weights["h" + gate] = {"kernel": recurrent, "bias": second} if own else {"kernel": recurrent}
    return weights


def lstm_carry(state):
    return state.cell, state.hidden


def lstm_state(carry):
    return LSTMState(hidden=carry[1], cell=carry[0])


def hidden_of(state):
    return state.hidden


FLAX: dict[str, tuple[str, FlaxPeer]] = {
    "SimpleCell": ("elman", FlaxPeer(lambda: nn.SimpleCell(HIDDEN), flax_elman, hidden_of, HiddenState)),
    "OptimizedLSTMCell": (
        "lstm",
        FlaxPeer(lambda: nn.OptimizedLSTMCell(HIDDEN), flax_lstm, lstm_carry, lstm_state),
    ),
    "GRUCell": ("gru", FlaxPeer(lambda: nn.GRUCell(HIDDEN), flax_gru, hidden_of, HiddenState)),
}


def run_flax(peer: FlaxPeer, problem: Problem, reverse: bool) -> Any:
    """Flax flips each sequence within its length, and `keep_order` flips its outputs back."""
    module = nn.RNN(peer.cell(), time_major=True, reverse=reverse, keep_order=True, return_carry=True)

    @jax.jit
    def values(params, inputs, state):
        carry, outputs = module.apply(
            {"params": {"cell": peer.weights(params)}},
            inputs,
            initial_carry=peer.carry(state),
            seq_lengths=problem.lengths,
        )
        return outputs, peer.state(carry)

    return with_gradients(values, problem)


class KerasPeer(NamedTuple):
    """A Keras layer class with its options, and the map to the list of its weights; its states are in our order."""

    layer: type
    options: dict[str, Any]
    weights: Callable[[CellParams], list[Any]]
    state: type


def keras_plain(params: CellParams):
    return [params.input.kernel, params.recurrent.kernel, params.input.bias]


def keras_gru(params: CellParams):
    """Keras has the update gate first, and both biases in one array."""

    def zrh(leaf):
        r, z, n = jnp.split(leaf, 3, -1)
        return jnp.concatenate([z, r, n], -1)

    names = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    kernel, recurrent_kernel, bias, second = (zrh(flat(params)[name]) for name in names)
    return [kernel, recurrent_kernel, jnp.stack([bias, second])]


KERAS: dict[str, tuple[str, KerasPeer]] = {
    "SimpleRNN": ("elman", KerasPeer(keras.layers.SimpleRNN, {}, keras_plain, HiddenState)),
    "LSTM": ("lstm", KerasPeer(keras.layers.LSTM, {}, keras_plain, LSTMState)),
    "GRU": ("gru", KerasPeer(keras.layers.GRU, {"reset_after": True}, keras_gru, HiddenState)),
}


def run_keras(peer: KerasPeer, problem: Problem, reverse: bool) -> Any:
    """Keras is batch-major and gives the outputs of `go_backwards` in the order in which it went."""
    layer = peer.layer(HIDDEN, return_sequences=True, return_state=True, go_backwards=reverse, **peer.options)
    layer.build((None, TIME, INPUT))
    mask = None if problem.lengths is None else jnp.arange(TIME) < problem.lengths[:, None]

    @jax.jit
    def values(params, inputs, state):
        (outputs, *final), _ = layer.stateless_call(
            peer.weights(params),
            [variable.value for variable in layer.non_trainable_variables],
            jnp.swapaxes(inputs, 0, 1),
            initial_state=list(state),
            mask=mask,
        )
        outputs = jnp.swapaxes(outputs, 0, 1)
        return jnp.flip(outputs, 0) if reverse else outputs, peer.state(*final)

    return with_gradients(values, problem)


def with_gradients(values: Callable, problem: Problem) -> Any:
    result, pullback = jax.vjp(values, problem.params, problem.inputs, problem.state)
    return result, jax.jit(pullback)(problem.cotangents)


def compared(values: Any, outputs_known: np.ndarray, final_known: np.ndarray) -> Any:
    """Values with zeros in place of the outputs and final states that are not compared."""
    outputs, final = values
    return (
        np.where(outputs_known[..., None], outputs, 0),
        jax.tree.map(lambda leaf: np.where(final_known[:, None], leaf, 0), final),
    )


def check(
    peer_run: Callable, name: str, ragged: bool, reverse: bool, recurrences: list[str], least: int, run: Callable
) -> None:
    """`least` is the shortest length whose final state the peer defines."""
    problem = make_problem(CELLS[name], "lengths" if ragged else "plain")
    lengths = problem.lengths if ragged else np.full(problem.inputs.shape[1], TIME)
    known = functools.partial(compared, outputs_known=np.arange(TIME)[:, None] < lengths, final_known=lengths >= least)
    problem = problem._replace(cotangents=known(problem.cotangents))
    values, gradients = peer_run(problem, reverse)
    for recurrence in recurrences:
        got, got_gradients = run(CELLS[name], RECURRENCES[recurrence], problem, reverse=reverse)
        assert_runs_close((known(got), got_gradients), (known(values), gradients))


def cases(peers: dict[str, Any]) -> Any:
    """Both ways of running each peer, as users have it, and the one that holds more compiled quickly."""
    return pytest.mark.parametrize(
        ("peer", "ragged", "reverse", "run"),
        [
            *(pytest.param(peer, True, True, run_fast, id=f"{peer}-quick") for peer in peers),
            *(pytest.param(peer, True, True, run, id=peer, marks=pytest.mark.slow) for peer in peers),
            *(pytest.param(peer, False, False, run, id=f"{peer}-plain", marks=pytest.mark.slow) for peer in peers),
        ],
    )


@cases(FLAX)
def test_flax(peer, ragged, reverse, run):
    name, flax = FLAX[peer]
    # Of a sequence of length 0 Flax takes the carry at step -1, the last: it defines none.
    check(functools.partial(run_flax, flax), name, ragged, reverse, ["scan", "chunked_with_tail"], 1, run)


@cases(KERAS)
def test_keras(peer, ragged, reverse, run):
    name, layer = KERAS[peer]
    check(functools.partial(run_keras, layer), name, ragged, reverse, ["scan", "chunked_with_tail"], 0, run)


@pytest.mark.quick("unrolled", "chunked_gates")
@pytest.mark.parametrize("recurrence", RECURRENCES)
def test_every_recurrence_against_keras(recurrence):
    name, layer = KERAS["GRU"]
    check(functools.partial(run_keras, layer), name, True, True, [recurrence], 0, run_fast)
