"""The step trace holds what the cell's own equations give, for any cell, and changes nothing."""

import dataclasses
import sys
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import make_problem, random_variables
from oracles import logistic
from reference import assert_close
from tables import BATCH, CELLS, HIDDEN, RECURRENCES, TIME, run_fast, slow_unless

from rnnjax import GRU, LSTM, RNN, Bidirectional, Cell, Elman, PointwiseCell, Scan, SequenceClassifier, StackedRNN
from rnnjax.analysis import trace_cell, trace_steps
from rnnjax.cells.cell import sigmoid

pytestmark = pytest.mark.usefixtures("quick_compile")


def trace_of(cell, problem, **options):
    options |= {"lengths": problem.lengths, "resets": problem.resets, "reset_state": problem.reset_state}
    return trace_cell(cell, problem.params, problem.inputs, problem.state, **options)


def test_an_lstms_gates_by_hand():
    problem = make_problem(LSTM())
    trace = trace_of(LSTM(), problem)
    assert list(trace) == ["input", "forget", "candidate", "output", "cell", "hidden"]
    hidden, cell = (np.asarray(leaf, np.float64) for leaf in problem.state)
    for t in range(TIME):
        gates = problem.inputs[t] @ problem.params.input.kernel + hidden @ problem.params.recurrent.kernel
        i, f, g, o = np.split(np.asarray(gates + problem.params.input.bias, np.float64), 4, axis=-1)
        cell = logistic(f) * cell + logistic(i) * np.tanh(g)
        hidden = logistic(o) * np.tanh(cell)
        want = {"input": logistic(i), "forget": logistic(f), "candidate": np.tanh(g), "output": logistic(o)}
        assert_close(
            {name: values[t] for name, values in trace.items()}, want | {"cell": cell, "hidden": hidden}, "values"
        )


def test_a_grus_gates_by_hand():
    problem = make_problem(GRU())
    trace = trace_of(GRU(), problem)
    assert list(trace) == ["reset", "update", "candidate", "hidden"]
    before = np.concatenate([np.asarray(problem.state.hidden)[None], trace["hidden"][:-1]])
    a = np.split(problem.inputs @ problem.params.input.kernel + problem.params.input.bias, 3, axis=-1)
    r = np.split(before @ problem.params.recurrent.kernel + problem.params.recurrent.bias, 3, axis=-1)
    reset = logistic(np.asarray(a[0] + r[0]))
    want = {"reset": reset, "update": logistic(np.asarray(a[1] + r[1])), "candidate": np.tanh(a[2] + reset * r[2])}
    assert_close({name: trace[name] for name in want}, want, "values")


@pytest.mark.parametrize(
    ("name", "reverse"),
    slow_unless(
        # Where the state or the output is another one.
        lambda name, reverse: reverse or name in ("indrnn", "lstmp"),
        [*((name, False) for name in CELLS if name != "irnn"), ("lstm", True)],
    ),
)
def test_hidden_is_what_the_layer_puts_out_and_padding_is_no_step(name, reverse):
    problem = make_problem(CELLS[name], "lengths_and_resets")
    (outputs, _), _ = run_fast(CELLS[name], RECURRENCES["scan"], problem, reverse=reverse)
    trace = trace_of(CELLS[name], problem, reverse=reverse)
    valid = np.arange(TIME)[:, None] < problem.lengths
    assert_close(np.where(np.isnan(trace["hidden"]), 0, trace["hidden"]), outputs, "values")
    for values in trace.values():
        np.testing.assert_array_equal(np.isnan(values).all(axis=tuple(range(2, values.ndim))), ~valid)


class OwnState(NamedTuple):
    hidden: jax.Array


@dataclasses.dataclass(frozen=True)
class OwnCell(PointwiseCell):
    gates: ClassVar[int] = 2

    def init_state(self, batch_size, hidden_size, dtype=jnp.float32):
        return OwnState(jnp.zeros((batch_size, hidden_size), dtype))

    def update(self, extras, inputs, recurrent, state):
        f_x, n_x = jnp.split(inputs + recurrent, 2, -1)
        leak = sigmoid(f_x)
        return OwnState((1 - leak) * state.hidden + leak * jnp.tanh(n_x))


@dataclasses.dataclass(frozen=True)
class GeneralCell(Cell):
    """Not of the pointwise form: its step squares the state."""

    def init_params(self, key, input_size, hidden_size, dtype=jnp.float32):
        return LSTM().init_params(key, input_size, hidden_size)

    def init_state(self, batch_size, hidden_size, dtype=jnp.float32):
        return OwnState(jnp.zeros((batch_size, hidden_size), dtype))

    def step(self, params, inputs, state):
        squared = state.hidden**2
        return OwnState(jnp.tanh(squared + inputs @ params.input.kernel[:, : squared.shape[-1]]))


def test_a_cell_of_ones_own_is_traced_by_its_own_names():
    problem = make_problem(OwnCell())
    trace = trace_of(OwnCell(), problem)
    assert list(trace) == ["leak", "hidden"]
    before = np.concatenate([np.asarray(problem.state.hidden)[None], trace["hidden"][:-1]])
    gates = (
        problem.inputs @ problem.params.input.kernel
        + problem.params.input.bias
        + before @ problem.params.recurrent.kernel
    )
    assert_close(trace["leak"], logistic(np.asarray(gates[..., :HIDDEN])), "values")


@dataclasses.dataclass(frozen=True)
class ExtendedCell(OwnCell):
    def update(self, extras, inputs, recurrent, state):
        damped_2 = super().update(extras, inputs, recurrent, state).hidden * 0.5
        return OwnState(damped_2)


def test_a_cell_that_extends_another_is_traced_with_the_others_gates():
    trace = trace_of(ExtendedCell(), make_problem(ExtendedCell()))
    assert list(trace) == ["leak", "damped_2", "hidden"]
    assert_close(trace["damped_2"], trace["hidden"], "values")


def test_a_cell_that_is_not_pointwise_is_traced_by_its_step():
    problem = make_problem(OwnCell())
    params = GeneralCell().init_params(jax.random.key(0), problem.inputs.shape[-1], HIDDEN)
    trace = trace_of(GeneralCell(), problem._replace(params=params))
    assert list(trace) == ["squared", "hidden"]
    assert_close(trace["squared"][1:], trace["hidden"][:-1] ** 2, "values")


def test_a_profiler_that_was_there_is_there_again():
    def profiler(*_):
        return None

    sys.setprofile(profiler)
    try:
        trace_of(Elman(), make_problem(Elman(), time=1))
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)


@pytest.mark.slow
def test_every_layer_of_a_model_is_traced_by_its_path():
    both = Bidirectional(RNN(LSTM(), 4, Scan()), RNN(GRU(), 3, Scan()))
    model = SequenceClassifier(9, 5, StackedRNN([both, RNN(Elman(), 2, Scan())]))
    tokens = jnp.asarray(np.random.default_rng(0).integers(0, 9, (BATCH, 6)), jnp.int32)
    lengths = jnp.array([6, 0, 1, 4, 6])
    variables = random_variables(model, tokens)
    traces = trace_steps(model, variables, tokens, lengths)
    assert {path: list(trace) for path, trace in traces.items()} == {
        "recurrent/layers_0/forward": ["input", "forget", "candidate", "output", "cell", "hidden"],
        "recurrent/layers_0/backward": ["reset", "update", "candidate", "hidden"],
        "recurrent/layers_1": ["hidden"],
    }
    embedded = variables["params"]["embedding"]["embedding"][tokens]
    params = variables["params"]["recurrent"]["layers_0"]
    outputs, _ = both.apply({"params": params}, embedded, lengths=lengths)
    below = [traces[f"recurrent/layers_0/{direction}"]["hidden"] for direction in ("forward", "backward")]
    assert_close(np.nan_to_num(np.concatenate(below, axis=-1)), outputs, "values")
    params = variables["params"]["recurrent"]["layers_1"]
    outputs, _ = RNN(Elman(), 2, Scan()).apply({"params": params}, outputs, lengths=lengths)
    assert_close(np.nan_to_num(traces["recurrent/layers_1"]["hidden"]), outputs, "values")


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_a_regularised_layer_is_traced_as_it_runs(training):
    layer = RNN(LSTM(), 4, state_dropout=0.5, weight_dropout=0.5, zoneout={"cell": 0.3})
    inputs = jnp.asarray(np.random.default_rng(0).normal(size=(BATCH, 6, 3)), jnp.float32)
    variables = random_variables(layer, inputs)
    options: Any = {"deterministic": False, "rngs": {"dropout": jax.random.key(1)}} if training else {}
    trace = trace_steps(layer, variables, inputs, **options)[""]
    values: Any = layer.apply(variables, inputs, **options)
    outputs, final = values
    assert_close(trace["hidden"], outputs, "values")
    assert_close(trace["cell"][:, -1], final.cell, "values")
    # The gates are those that the new cell was made from, of which zoneout lets a part or none through.
    before = np.pad(trace["cell"], ((0, 0), (1, 0), (0, 0)))[:, :-1]
    new = trace["forget"] * before + trace["input"] * trace["candidate"]
    kept = np.abs(trace["cell"] - before) < 1e-6
    assert (kept.mean() > 0.1) == training
    want = np.where(kept, before, new) if training else 0.3 * before + 0.7 * new
    assert_close(trace["cell"], want, "values")


def test_bfloat16_is_widened():
    layer = RNN(LSTM(), 4, Scan(), dtype=jnp.bfloat16)
    inputs = jnp.ones((1, 2, 3))
    trace = trace_steps(layer, random_variables(layer, inputs), inputs)[""]
    assert {values.dtype for values in trace.values()} == {np.dtype(np.float32)}
