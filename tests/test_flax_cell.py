"""Any cell under Flax's own RNN."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import apply, make_problem, swap, variables_of
from reference import assert_close
from tables import CELLS, HIDDEN, INPUT, TIME

from rnnjax import LSTM, RNN, FlaxCell, Scan

pytestmark = pytest.mark.usefixtures("quick_compile")


# Of the cells whose parameters have the same fields one each; an LSTM is below.
@pytest.mark.quick("indrnn")
@pytest.mark.parametrize("name", ["elman", "gru", "peephole_lstm", "layer_norm_lstm", "indrnn"])
def test_any_cell_runs_under_flax_rnn(name):
    cell = CELLS[name]
    problem = make_problem(cell)
    inputs, lengths = swap(problem.inputs), jnp.array([TIME, 1, 3, 5, 2])
    layer, own = nn.RNN(FlaxCell(cell, HIDDEN), return_carry=True), RNN(cell, HIDDEN, Scan())
    under_flax = {"params": {"cell": variables_of(problem)["params"]}}
    assert jax.tree.structure(layer.init(jax.random.key(0), inputs)) == jax.tree.structure(under_flax)

    carry, outputs = apply(layer, under_flax, inputs, initial_carry=problem.state, seq_lengths=lengths)
    want, final = apply(own, variables_of(problem), inputs, problem.state, lengths)
    # Flax leaves what it computed on padded steps.
    valid = jnp.arange(TIME) < lengths[:, None]
    assert_close((outputs * valid[..., None], carry), (want, final), "values")

    carry, outputs = apply(layer, under_flax, inputs)
    assert_close((outputs, carry), apply(own, variables_of(problem), inputs), "values")


@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_flax_runs_a_cell_over_any_batch_axes(batch):
    inputs = jax.random.normal(jax.random.key(0), (*batch, TIME, INPUT))
    layer = nn.RNN(FlaxCell(LSTM(), HIDDEN))
    outputs, variables = layer.init_with_output(jax.random.key(1), inputs)
    assert outputs.shape == (*batch, TIME, HIDDEN)
    flat = RNN(LSTM(), HIDDEN).apply({"params": variables["params"]["cell"]}, inputs.reshape(-1, TIME, INPUT))
    assert_close(outputs, np.reshape(flat[0], outputs.shape), "values")
