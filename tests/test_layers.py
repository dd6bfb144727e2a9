"""Flax layers: the same numbers as the recurrence they hold, run by hand."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import FAST_COMPILE, apply, make_problem, random_variables, swap, variables_of
from reference import assert_close
from tables import BATCH, HIDDEN, INPUT, MODES, RECURRENCES, TIME, run_oracle

import rnnjax
from rnnjax.cells import GRU, LSTM, Elman
from rnnjax.layers import RNN, Bidirectional, StackedRNN
from rnnjax.recurrences import Chunked, Scan

pytestmark = pytest.mark.usefixtures("quick_compile")

# Largest error measured on a CPU: values 4.5e-3, gradients 8.3e-3; bfloat16 itself rounds by 4e-3.
BFLOAT16_TOLERANCE = 2e-2

MERGED_BY_HAND = {
    "concat": lambda forward, backward: np.concatenate([forward, backward], axis=-1),
    "sum": np.add,
    "mean": lambda forward, backward: np.add(forward, backward) / 2,
    "product": np.multiply,
}


def batch_arguments(problem):
    return swap(problem.inputs), problem.state, problem.lengths, swap(problem.resets)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("mode", MODES)
def test_rnn_is_the_oracle_with_the_first_two_axes_swapped(mode, reverse):
    problem = make_problem(LSTM(), mode)
    (outputs, final), _ = run_oracle("lstm", problem, reverse=reverse)
    got = apply(
        RNN(LSTM(), HIDDEN, Scan(), reverse=reverse),
        variables_of(problem),
        *batch_arguments(problem),
        reset_state=problem.reset_state,
    )
    assert_close(got, (swap(outputs), final), "values")


@pytest.mark.parametrize("recurrence", RECURRENCES.values(), ids=RECURRENCES)
def test_every_recurrence_gives_the_oracles_numbers_under_rnn(recurrence):
    problem = make_problem(GRU(), "lengths_and_resets")
    (outputs, final), _ = run_oracle("gru", problem)
    got = apply(
        RNN(GRU(), HIDDEN, recurrence),
        variables_of(problem),
        *batch_arguments(problem),
        reset_state=problem.reset_state,
    )
    assert_close(got, (swap(outputs), final), "values")


def test_reverse_argument_overrides_the_field():
    problem = make_problem(GRU(), "lengths")
    variables, arguments = variables_of(problem), batch_arguments(problem)
    forward, backward = (RNN(GRU(), HIDDEN, Scan(), reverse=reverse) for reverse in (False, True))
    up, down = apply(forward, variables, *arguments), apply(backward, variables, *arguments)
    assert np.abs(up[0] - down[0]).max() > 0.1
    assert_close(apply(forward, variables, *arguments, reverse=True), down, "values")
    assert_close(apply(backward, variables, *arguments, reverse=False), up, "values")


def test_initial_state_is_zeros_where_none_is_given():
    problem = make_problem(LSTM())
    zeros = jax.tree.map(jnp.zeros_like, problem.state)
    inputs, layer, variables = swap(problem.inputs), RNN(LSTM(), HIDDEN, Scan()), variables_of(problem)
    assert_close(apply(layer, variables, inputs), apply(layer, variables, inputs, zeros), "values")
    assert np.abs(apply(layer, variables, inputs)[0] - apply(layer, variables, inputs, problem.state)[0]).max() > 0.1


def test_rnn_takes_three_axes():
    with pytest.raises(ValueError, match=r"inputs: expected shape \(B, T, I\), got \(5, 3\)"):
        RNN(GRU(), HIDDEN, Scan()).init(jax.random.key(0), jnp.zeros((5, 3)))


def two_directions(merge: Any = "concat"):
    """Cells of two kinds and sizes of state, so that one taken for the other cannot go unseen."""
    forward, backward = RNN(LSTM(), HIDDEN, Scan()), RNN(GRU(), HIDDEN, Scan())
    layer = Bidirectional(forward, backward, merge)
    first, second = make_problem(LSTM(), "lengths_and_resets"), make_problem(GRU(), seed=1)
    arguments = (swap(first.inputs), (first.state, second.state), first.lengths, swap(first.resets))
    return layer, random_variables(layer, *arguments), arguments


@pytest.mark.parametrize("merge", MERGED_BY_HAND)
def test_bidirectional_is_two_layers_merged(merge):
    layer, variables, (inputs, states, lengths, resets) = two_directions(merge)
    # Run from the end, a sequence starts afresh at the step before the next one's first.
    ends = np.zeros((BATCH, TIME), bool)
    for b in range(BATCH):
        for t in range(TIME - 1):
            ends[b, t] = resets[b, t + 1]
    ends = jnp.asarray(ends)
    up, down = ({"params": variables["params"][name]} for name in ("forward", "backward"))
    forward, forward_final = apply(RNN(LSTM(), HIDDEN, Scan()), up, inputs, states[0], lengths, resets)
    backward, backward_final = apply(RNN(GRU(), HIDDEN, Scan(), reverse=True), down, inputs, states[1], lengths, ends)
    want = MERGED_BY_HAND[merge](np.asarray(forward), np.asarray(backward))
    got, final = apply(layer, variables, inputs, states, lengths, resets)
    assert_close(got, want, "values")
    assert_close(final, (forward_final, backward_final), "values")
    got = layer.apply(variables, final, method="last")
    assert_close(got, MERGED_BY_HAND[merge](forward_final.hidden, backward_final.hidden), "values")


def test_packed_sequences_with_resets_equal_separate_ones():
    layer, variables, ((inputs, *_), *_) = two_directions()
    starts = [0, 3, 4]
    resets = np.zeros((1, TIME), bool)
    resets[0, starts] = True
    packed, _ = apply(layer, variables, inputs[None], None, None, jnp.asarray(resets))
    parts = jnp.split(inputs, starts[1:])
    separate = [apply(layer, variables, part[None])[0] for part in parts]
    assert_close(packed, np.concatenate(separate, axis=1), "values")
    assert np.abs(packed - apply(layer, variables, inputs[None])[0]).max() > 0.1


def test_bidirectional_runs_its_layers_up_and_down_whatever_their_own_field_says():
    layer, variables, arguments = two_directions()
    turned = Bidirectional(layer.forward.clone(reverse=True), layer.backward.clone(reverse=False))
    assert_close(apply(turned, variables, *arguments), apply(layer, variables, *arguments), "values")


@pytest.mark.parametrize("layer", [RNN(GRU(), 2), Bidirectional(RNN(GRU(), 2), RNN(GRU(), 2))], ids=["one", "both"])
@pytest.mark.parametrize("shape", [(TIME, BATCH), (BATCH,)])
def test_resets_are_one_a_step_and_sequence(layer, shape):
    with pytest.raises(ValueError, match=r"resets: expected shape \(B, T\) = \(5, 8\), got"):
        layer.init(jax.random.key(0), jnp.ones((BATCH, TIME, INPUT)), resets=jnp.zeros(shape, bool))


def test_sizes_that_do_not_merge_are_an_error():
    layer = Bidirectional(RNN(GRU(), 2), RNN(GRU(), 3), merge="sum")
    with pytest.raises(
        ValueError, match=r"merge 'sum': expected outputs of equal size, got \(1, 2, 2\) and \(1, 2, 3\)"
    ):
        layer.init(jax.random.key(0), jnp.ones((1, 2, 4)))


def test_unknown_merge_is_an_error():
    message = r"merge: expected one of \['concat', 'mean', 'product', 'sum'\], got 'average'"
    with pytest.raises(ValueError, match=message):
        Bidirectional(RNN(GRU(), HIDDEN, Scan()), RNN(GRU(), HIDDEN, Scan()), "average")  # pyright: ignore[reportArgumentType]


def test_last_is_the_output_at_the_last_valid_step():
    problem = make_problem(LSTM(), "lengths")
    layer, variables = RNN(LSTM(), HIDDEN, Scan()), variables_of(problem)
    outputs, final = apply(layer, variables, *batch_arguments(problem))
    want = [outputs[b, n - 1] if n else problem.state.hidden[b] for b, n in enumerate(problem.lengths)]
    assert 0 in problem.lengths
    assert_close(layer.apply(variables, final, method="last"), np.stack(want), "values")


def stack_of_three():
    top = Bidirectional(RNN(Elman(), 3, Scan()), RNN(Elman(), 3, Scan()))
    layer = StackedRNN((RNN(LSTM(), HIDDEN, Scan()), RNN(GRU(), 6, Scan(), reverse=True), top))
    low, middle = make_problem(LSTM(), "lengths_and_resets"), make_problem(GRU(), seed=1)
    wide = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf[:, :2]], axis=1), middle.state)
    narrow = jax.tree.map(lambda leaf: leaf[:, :3], make_problem(Elman(), seed=2).state)
    arguments = (swap(low.inputs), (low.state, wide, (narrow, narrow)), low.lengths, swap(low.resets))
    return layer, random_variables(layer, *arguments), arguments


def test_stack_is_its_layers_one_after_the_other():
    layer, variables, (inputs, states, lengths, resets) = stack_of_three()
    hidden, finals = inputs, []
    for n, (part, state) in enumerate(zip(layer.layers, states, strict=True)):
        hidden, final = apply(part, {"params": variables["params"][f"layers_{n}"]}, hidden, state, lengths, resets)
        finals.append(final)
    got, final = apply(layer, variables, inputs, states, lengths, resets)
    assert_close(got, hidden, "values")
    assert_close(final, tuple(finals), "values")
    top_forward, top_backward = finals[-1]
    want = np.concatenate([top_forward.hidden, top_backward.hidden], axis=-1)
    assert_close(layer.apply(variables, final, method="last"), want, "values")


def test_stack_starts_every_layer_from_zeros_where_no_state_is_given():
    layer, variables, (inputs, states, *_) = stack_of_three()
    zeros = jax.tree.map(jnp.zeros_like, states)
    assert_close(apply(layer, variables, inputs), apply(layer, variables, inputs, zeros), "values")


@pytest.mark.parametrize("count", [0, 2])
def test_stack_takes_one_state_a_layer(count):
    layer, variables, (inputs, states, *_) = stack_of_three()
    with pytest.raises(ValueError, match=f"initial_state: expected 3, one per layer, got {count}"):
        apply(layer, variables, inputs, states[:count])


def test_stack_of_a_list_is_hashable_as_that_of_a_tuple():
    layers = [RNN(GRU(), 2), RNN(GRU(), 3)]
    assert hash(StackedRNN(layers)) == hash(StackedRNN(tuple(layers)))


def test_stack_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="layers: expected at least one, got none"):
        StackedRNN([])


@pytest.mark.parametrize("recurrence", [Scan(), Chunked(3)], ids=["scan", "chunked"])
def test_bfloat16_is_computed_in_while_parameters_and_gradients_stay_float32(recurrence):
    problem = make_problem(LSTM(), "lengths")
    exact, rounded = RNN(LSTM(), HIDDEN, Scan()), RNN(LSTM(), HIDDEN, recurrence, dtype=jnp.bfloat16)
    for leaf in jax.tree.leaves(jax.eval_shape(rounded.init, jax.random.key(0), swap(problem.inputs))):
        assert leaf.dtype == jnp.float32

    @functools.partial(jax.jit, static_argnums=0, compiler_options=FAST_COMPILE)
    def run_back(layer, variables):
        values, pullback = jax.vjp(
            lambda v: layer.apply(v, *batch_arguments(problem), reset_state=problem.reset_state), variables
        )
        return values, pullback(jax.tree.map(jnp.ones_like, values))[0]

    (want, want_gradients), (got, gradients) = (run_back(layer, variables_of(problem)) for layer in (exact, rounded))
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {jnp.dtype(jnp.bfloat16)}
    assert {leaf.dtype for leaf in jax.tree.leaves((want, gradients))} == {jnp.dtype(jnp.float32)}
    for group, left, right in (("values", got, want), ("gradients", gradients, want_gradients)):
        assert_close(left, right, group, tolerance=BFLOAT16_TOLERANCE, kind="bfloat16")


def shapes(variables):
    return jax.tree.map(lambda leaf: leaf.shape, variables["params"])


def test_parameters_are_named_and_shaped_as_documented():
    inputs = jnp.zeros((BATCH, TIME, INPUT), np.float32)
    lstm = {
        "input": {"kernel": (INPUT, 4 * HIDDEN), "bias": (4 * HIDDEN,)},
        "recurrent": {"kernel": (HIDDEN, 4 * HIDDEN)},
    }
    gru = {"input": {"kernel": (8, 6), "bias": (6,)}, "recurrent": {"kernel": (2, 6), "bias": (6,)}}
    both = Bidirectional(RNN(LSTM(), HIDDEN, Scan()), RNN(LSTM(), HIDDEN, Scan()))
    variables = jax.eval_shape(StackedRNN([both, RNN(GRU(), 2, Scan())]).init, jax.random.key(0), inputs)
    want = {"layers_0": {"forward": {"cell": lstm}, "backward": {"cell": lstm}}, "layers_1": {"cell": gru}}
    assert shapes(variables) == want


def test_two_directions_start_from_different_parameters():
    layer = Bidirectional(RNN(Elman(), HIDDEN, Scan()), RNN(Elman(), HIDDEN, Scan()))
    params: Any = layer.init(jax.random.key(0), jnp.zeros((1, 1, INPUT)))["params"]
    assert (
        np.abs(params["forward"]["cell"]["input"]["kernel"] - params["backward"]["cell"]["input"]["kernel"]).max() > 0.1
    )


def test_equal_modules_are_one_static_argument():
    def stack(size):
        return StackedRNN(
            (Bidirectional(RNN(GRU(), size, Scan()), RNN(GRU(), size, Scan())), RNN(LSTM(), size, Scan()))
        )

    traces = []

    @functools.partial(jax.jit, static_argnums=0)
    def traced(module, variables, inputs):
        traces.append(module)
        return module.apply(variables, inputs)

    inputs = make_problem(GRU()).inputs
    variables = random_variables(stack(2), inputs)
    assert_close(traced(stack(2), variables, inputs), stack(2).apply(variables, inputs), "values")
    traced(stack(2), variables, inputs)
    assert len(traces) == 1
    assert stack(2) != stack(3)


def test_the_package_exports_its_layers_cells_and_recurrences():
    cells = {"Cell", "CellParams", "HiddenState", "PointwiseCell", "Elman", "LSTM", "LSTMState", "GRU"}
    cells |= {"PeepholeLSTM", "LayerNormLSTM", "MGU", "IndRNN", "ConvLSTM", "LSTMP", "SLSTM", "GRUResetBefore"}
    cells |= {"FullGateLSTM", "MultiplicativeLSTM", "CoRNN", "ParaGRU", "ParaLSTM"}
    cells |= {"LinearCell", "MinGRU", "MinLSTM", "LRU", "RGLRU", "S5"}
    cells |= {"Map", "MapParams", "Dense", "Conv", "BlockDiagonal"}
    cells |= {"Parametrization", "Antisymmetric", "Orthogonal", "WeightNorm"}
    modules = {"RNN", "Bidirectional", "StackedRNN", "RecurrentBlock", "Dropout", "FlaxCell"}
    modules |= {"SequenceClassifier", "SequenceTagger", "LanguageModel", "Forecaster", "EncoderDecoder", "Attention"}
    modules |= {"decode", "Decoded", "unit_jacobians", "step_jacobian"}
    names = cells | modules | {"Recurrence", "Scan", "Unrolled", "Chunked", "Associative", "Newton", "CuDNN"}
    names |= {"identity", "uniform"}
    assert {name for name in names if not callable(getattr(rnnjax, name, None))} == set()
    assert set(rnnjax.__all__) == names


KINDS: dict[str, tuple[Any, str]] = {
    "class": (lambda: RNN(GRU, 4), "cell: expected a Cell, such as GRU\\(\\), got <class"),  # pyright: ignore
    "name": (lambda: RNN("gru", 4), "cell: expected a Cell, such as GRU\\(\\), got 'gru'"),  # pyright: ignore
    "recurrence": (
        lambda: RNN(GRU(), 4, Scan),  # pyright: ignore
        "recurrence: expected a Recurrence, such as Chunked\\(\\), got <class",
    ),
    "size": (lambda: RNN(GRU(), "4"), "hidden_size: expected integers, got '4'"),  # pyright: ignore
    "share": (lambda: RNN(GRU(), 4.0), "hidden_size: expected integers, got 4.0"),  # pyright: ignore
}


@pytest.mark.parametrize(("make", "message"), KINDS.values(), ids=KINDS)
def test_what_is_no_cell_recurrence_or_size_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
