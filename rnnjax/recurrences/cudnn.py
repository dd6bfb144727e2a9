"""The LSTM of NVIDIA's cuDNN as a recurrence, and its weights. Not run on a GPU yet."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import Cell, CellParams
from rnnjax.cells.lstm import LSTM, LSTMState
from rnnjax.compat import cudnn_rnn
from rnnjax.maps import Dense, MapParams
from rnnjax.recurrences.recurrence import Problem, Recurrence, Taken, clear_padding, select, zero_where
from rnnjax.types import State


@dataclasses.dataclass(frozen=True)
class CuDNN(Recurrence):
    """The LSTM of cuDNN (Appleyard, Kocisky and Blunsom 2016), for float32 on a GPU, as JAX calls it.

    Differentiable once, in reverse mode. The precision of matrix products is that of JAX's
    `jax_default_matmul_precision`: TF32 unless it is "highest". A sequence has its `lengths`; it may run in `reverse`.
    Raises TypeError for another cell, ValueError for another dtype and for what cuDNN cannot do: resets, zoneout,
    dropout of the state, states of all steps; RuntimeError without a GPU.
    """

    def run(self, cell: Cell, problem: Problem, reverse: bool, all_states: bool) -> tuple[Taken, State]:
        """The outputs of all steps and the final state."""
        _check(cell, problem, all_states)
        params, inputs, initial, _, flags, _ = problem
        time, batch, features = inputs.shape
        hidden = initial.hidden.shape[-1]
        lengths = jnp.full(batch, time) if flags.valid is None else flags.valid.sum(0)
        inputs = clear_padding(inputs, flags)
        if reverse:
            inputs = _flipped(inputs, lengths)
        outputs, last, cells = cudnn_rnn().lstm(
            inputs.swapaxes(0, 1),
            initial.hidden[None],
            initial.cell[None],
            to_cudnn(params),
            jnp.maximum(lengths, 1).astype(jnp.int32),  # cuDNN reads at least one step, whose results are dropped below
            features,
            hidden,
            1,
            0.0,
            False,
        )
        outputs, final = outputs.swapaxes(0, 1), LSTMState(last[0], cells[0])
        if reverse:
            outputs = _flipped(outputs, lengths)
        if flags.valid is not None:
            outputs, final = zero_where(~flags.valid, outputs), select(lengths > 0, final, initial)
        return Taken(outputs, None), final


def to_cudnn(params: CellParams) -> jax.Array:
    """The parameters of an `LSTM` as the weights of cuDNN: W^T `(4H, I)`, R^T `(4H, H)` and two biases, in one vector.

    A second bias that the cell does not have is zero.
    """
    width = params.recurrent.kernel.shape[-1]
    biases = [
        jnp.zeros(width, part.kernel.dtype) if part.bias is None else part.bias
        for part in (params.input, params.recurrent)
    ]
    return jnp.concatenate([params.input.kernel.T.ravel(), params.recurrent.kernel.T.ravel(), *biases])


def from_cudnn(weights: jax.Array, inputs: int, hidden: int, *, second_bias: bool = False) -> CellParams:
    """The parameters of an `LSTM` from the weights of cuDNN for I inputs and H hidden features: the inverse.

    Without `second_bias` the cell gets the sum of the two biases. Raises ValueError for another number of weights.
    """
    rnn = cudnn_rnn()
    expected = rnn.get_num_params_in_lstm(inputs, hidden, 1, False)
    if weights.shape != (expected,):
        raise ValueError(f"weights: expected shape ({expected},), got {weights.shape}")
    of_inputs, recurrent, *biases = (
        part[0] for part in rnn.unpack_lstm_weights(weights, inputs, hidden, num_layers=1, bidirectional=False)
    )
    if second_bias:
        return CellParams(MapParams(of_inputs.T, biases[0]), MapParams(recurrent.T, biases[1]))
    return CellParams(MapParams(of_inputs.T, biases[0] + biases[1]), MapParams(recurrent.T))


def _check(cell: Cell, problem: Problem, all_states: bool) -> None:
    if type(cell) is not LSTM or cell.input_map != Dense() or cell.recurrent_map != Dense():
        raise TypeError(f"CuDNN: expected an LSTM with dense maps, got {cell}; use Chunked or Scan")
    for dtype in {leaf.dtype for leaf in jax.tree.leaves((problem.params, problem.inputs, problem.initial_state))}:
        if dtype != jnp.float32:
            raise ValueError(f"CuDNN: expected float32, got {dtype}; use Chunked or Scan")
    cannot: dict[str, Any] = {
        "resets": problem.flags.reset,
        "zoneout": problem.flags.hold,
        "dropout of the state": problem.hidden_mask,
        "states of all steps": all_states or None,
    }
    for name, value in cannot.items():
        if value is not None:
            raise ValueError(f"CuDNN: expected no {name}, which cuDNN does not have; use Chunked or Scan")
    if (backend := jax.default_backend()) != "gpu":
        raise RuntimeError(f"CuDNN: expected a GPU, got {backend}; use Chunked or Scan")


def _flipped(steps: jax.Array, lengths: jax.Array) -> jax.Array:
    """Each sequence of `(T, B, ...)` from its last valid step down; its padding stays at the end."""
    at = jnp.arange(steps.shape[0])[:, None]
    at = jnp.where(at < lengths, lengths - 1 - at, at)
    return jnp.take_along_axis(steps, at[..., None], axis=0)
