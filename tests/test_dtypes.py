"""Every dtype against float64, by relative error and over long sequences: what is summed, saturates or is counted."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import FAST_COMPILE
from tables import CELLS, CLASSICS, HIDDEN, INPUT, MATRIX_CELLS, replaced, slow_unless

from rnnjax import GRU, LSTM, RNN, Chunked, Elman, LanguageModel, Recurrence, Scan, SequenceClassifier, Unrolled
from rnnjax.cells import sigmoid
from rnnjax.dtypes import at_least_float32

pytestmark = pytest.mark.usefixtures("quick_compile")

# More steps than a sum of equal parts can count in bfloat16 (256) or in float16 (2,048).
TIME, BATCH = 2_500, 2
RECURRENCES: dict[str, Recurrence] = {
    "scan": Scan(),
    "gates": Chunked(keep="gates"),
    "boundaries": Chunked(keep="boundaries"),
}
# Of a whole array by its norm. Largest relative errors measured: 1.8e-2, 3.1e-3 and 5.8e-6. One rounding errs by up to
# 4e-3, 5e-4 and 6e-8; `Scan` adds up 5,000 gradients of one sign one by one.
TOLERANCES = {"bfloat16": 2e-2, "float16": 4e-3, "float32": 1e-5}
# relu: a unit that rounding puts on the other side of its kink passes another gradient on. Measured for the inputs'
# gradient: 2.9e-2, 8.9e-3.
KINKED_TOLERANCES = {"bfloat16": 5e-2, "float16": 2e-2, "float32": 1e-5}
# A layer norm over four units that rounding keeps apart magnifies it: over more of them there are none such.
WIDTHS = {"layer_norm_lstm": 32}
dtypes = pytest.mark.parametrize("dtype", TOLERANCES)


def errors(got: Any, want: Any) -> dict[str, float]:
    """By the name of an array, `|got - want| / |want|`, with the norms of all its numbers."""
    pairs = zip(jax.tree.leaves_with_path(got), jax.tree.leaves(want), strict=True)
    return {
        jax.tree_util.keystr(path): float(
            np.linalg.norm(np.asarray(left, np.float64) - right) / max(np.linalg.norm(right), 1e-300)
        )
        for (path, left), right in pairs
    }


@functools.cache
def run(cell: Any, recurrence: Recurrence, dtype: str, time: int = TIME, hidden: int = HIDDEN) -> Any:
    """Outputs and gradients of their mean over a long sequence with resets, computed in a dtype, the numbers given in
    float32."""
    random = np.random.default_rng(0)

    def normal(like: Any) -> Any:
        return random.normal(size=like.shape).astype(np.float32)

    params = jax.tree.map(np.asarray, cell.init_params(jax.random.key(0), INPUT, hidden))
    state, reset_state = (jax.tree.map(normal, cell.init_state(BATCH, hidden)) for _ in range(2))
    resets, inputs = jnp.asarray(random.random((time, BATCH)) < 0.2), normal(np.empty((time, BATCH, INPUT)))

    @functools.partial(jax.value_and_grad, argnums=(0, 1, 2, 3), has_aux=True)
    def mean(params, inputs, state, reset_state):
        params, inputs, state, reset_state = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, dtype), (params, inputs, state, reset_state)
        )
        outputs, _ = recurrence(cell, params, inputs, state, resets=resets, reset_state=reset_state)
        return outputs.astype(at_least_float32(dtype)).mean() * outputs[0].size, outputs

    with jax.enable_x64(dtype == "float64"):
        (_, outputs), gradients = jax.jit(mean, compiler_options=FAST_COMPILE)(params, inputs, state, reset_state)
        return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), (outputs, gradients))


# Compiling is what a case costs: "gates" and "boundaries" sum alike.
LONG = [
    (name, recurrence, dtype)
    for name in MATRIX_CELLS
    for recurrence in RECURRENCES
    for dtype in TOLERANCES
    if (recurrence != "gates" or dtype == "bfloat16") and (name == "lstm" or dtype != "float32")
]


def runs_always(name: str, recurrence: str, dtype: str) -> bool:
    """All for one cell; of the others that are studied most the narrowest dtype, and that with the fewest exponents."""
    narrow = {("boundaries", "bfloat16"), ("scan", "float16")}
    return name == "lstm" or (name in (*CLASSICS, "slstm") and (recurrence, dtype) in narrow)


@pytest.mark.parametrize(("name", "recurrence", "dtype"), slow_unless(runs_always, LONG))
def test_long_sequences_have_the_values_and_gradients_of_float64(name, recurrence, dtype):
    hidden = WIDTHS.get(name, HIDDEN)
    want = run(CELLS[name], Scan(), "float64", hidden=hidden)
    off = errors(run(CELLS[name], RECURRENCES[recurrence], dtype, hidden=hidden), want)
    tolerances = KINKED_TOLERANCES if name in ("irnn", "indrnn") else TOLERANCES
    assert max(off.values()) < tolerances[dtype], off


@pytest.mark.slow  # the size of its graph
def test_an_unrolled_loop_sums_gradients_as_the_others_do():
    # Enough steps for a sum in bfloat16 to stand still, and few enough to compile.
    off = errors(run(Elman(), Unrolled(), "bfloat16", 300), run(Elman(), Scan(), "float64", 300))
    assert max(off.values()) < TOLERANCES["bfloat16"], off


# Largest relative error measured: 5e-3, 9e-4, 2e-7.
SIGMOID_TOLERANCES = {"bfloat16": 1e-2, "float16": 2e-3, "float32": 1e-6}


@dtypes
def test_a_gate_closes_without_being_shut(dtype):
    # Down to where float16 has no numbers left.
    xs = np.linspace(-9 if dtype == "float16" else -30, 4, 400).astype(np.float32)
    rounded = jnp.asarray(xs, dtype)
    exact = 1 / (1 + np.exp(-np.asarray(rounded, np.float64)))
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(sigmoid)))(rounded)
    assert values.dtype == slopes.dtype == dtype
    tolerance = SIGMOID_TOLERANCES[dtype]
    np.testing.assert_allclose(np.asarray(values, np.float64), exact, rtol=tolerance)
    shut = xs < 0  # for open gates the slope is what is left of 1, which has an absolute error
    np.testing.assert_allclose(np.asarray(slopes, np.float64)[shut], (exact * (1 - exact))[shut], rtol=2 * tolerance)


@pytest.mark.parametrize("recurrence", RECURRENCES)
@pytest.mark.parametrize("at", [-12.0, 7.0])
def test_in_bfloat16_what_gates_let_through_and_learn_is_not_nothing(recurrence, at):
    """A GRU's update gate z far open: h is nearly kept, n comes in at 1 - sigmoid(7); and far shut."""
    cell, zeros = GRU(), jnp.zeros((1, 1, 1), jnp.bfloat16)
    params = jax.tree.map(lambda leaf: jnp.zeros_like(leaf, jnp.bfloat16), cell.init_params(jax.random.key(0), 1, 1))

    def after(params):
        return RECURRENCES[recurrence](cell, params, zeros, cell.init_state(1, 1, jnp.bfloat16))[0].sum()

    bias = jnp.array([0.0, at, 0.5], jnp.bfloat16)
    value, gradient = jax.value_and_grad(lambda bias: after(replaced(params, bias=bias)))(bias)
    z, n = 1 / (1 + np.exp(-at)), np.tanh(0.5)
    np.testing.assert_allclose(float(value), (1 - z) * n, rtol=1e-2)
    np.testing.assert_allclose(float(gradient[1]), -z * (1 - z) * n, rtol=1e-2)
    np.testing.assert_allclose(float(gradient[2]), (1 - z) * (1 - n**2), rtol=1e-2)


def half_model(model: Any, *args: Any) -> tuple[Any, Any, Any]:
    """The model in float32, in bfloat16, and variables that bfloat16 holds exactly."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), *args)
    random = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: jnp.asarray(0.3 * random.normal(size=leaf.shape), jnp.bfloat16).astype(jnp.float32), shapes
    )
    recurrent = model.recurrent and model.recurrent.clone(dtype=jnp.bfloat16)
    return model, model.clone(dtype=jnp.bfloat16, recurrent=recurrent), variables


TOKENS = jnp.asarray(np.random.default_rng(0).integers(0, 1_000, (2, 6)), jnp.int32)


@pytest.mark.parametrize("tied", [False, True])
def test_logits_are_never_rounded_to_the_compute_dtype(tied):
    exact, half, variables = half_model(LanguageModel(1_000, 16, RNN(LSTM(), 16), tied=tied), TOKENS)
    logits, _ = jax.jit(half.apply, compiler_options=FAST_COMPILE)(variables, TOKENS)
    assert logits.dtype == jnp.float32
    assert min(len(np.unique(row)) for row in np.asarray(logits).reshape(-1, 1_000)) > 990
    want, _ = jax.jit(exact.apply, compiler_options=FAST_COMPILE)(variables, TOKENS)
    assert np.linalg.norm(logits - want) / np.linalg.norm(want) < TOLERANCES["bfloat16"]


def test_a_classifiers_logits_are_not_rounded_either():
    _, half, variables = half_model(SequenceClassifier(1_000, 16, RNN(LSTM(), 16), 500), TOKENS)
    logits = jax.jit(half.apply, compiler_options=FAST_COMPILE)(variables, TOKENS)
    assert logits.dtype == jnp.float32
    assert min(len(np.unique(row)) for row in np.asarray(logits)) > 495


def test_in_float64_logits_are_float64():
    with jax.enable_x64(True):
        language = LanguageModel(1_000, 4, RNN(LSTM(), 4, dtype=jnp.float64), dtype=jnp.float64)
        classifier = SequenceClassifier(1_000, 4, RNN(LSTM(), 4, dtype=jnp.float64), dtype=jnp.float64)
        for model in (language, classifier):
            values = jax.eval_shape(model.init_with_output, jax.random.key(0), TOKENS)[0]
            assert jax.tree.leaves(values)[0].dtype == jnp.float64


@pytest.mark.parametrize(("recurrent", "dtype"), [(False, "float16"), (False, "bfloat16"), (True, "float16")])
def test_the_mean_of_many_steps(recurrent, dtype):
    # float16 ends at 65,504 and bfloat16 counts up to 256.
    steps = 70_000
    layer = RNN(Elman(), 2, Chunked(), dtype=dtype) if recurrent else None
    model = SequenceClassifier(5, 2, layer, pooling="mean", dtype=dtype)
    tokens = jnp.ones((1, steps), jnp.int32)
    variables = model.init(jax.random.key(0), tokens[:, :2])
    many, few = (
        float(jax.jit(model.apply, compiler_options=FAST_COMPILE)(variables, tokens[:, :n])[0]) for n in (steps, 1_000)
    )
    assert abs(few) > 0.01
    assert abs(many / few - 1) < 4 * TOLERANCES[dtype]


# Largest error measured: 2.1e-2. One word again and again leaves one state, whose rounding is the same at each step.
WORD_TOLERANCE = 4e-2


@pytest.mark.parametrize("model", ["language", "classifier"])
def test_the_gradient_of_a_frequent_word_is_a_sum_in_float32(model):
    tokens = jnp.ones((2, 3_000), jnp.int32)
    network = (
        LanguageModel(3, 4, RNN(Elman(), 4))
        if model == "language"
        else SequenceClassifier(3, 4, RNN(Elman(), 4), pooling="mean")
    )
    exact, half, variables = half_model(network, tokens)

    def gradient(network: Any) -> Any:
        def loss(variables: Any) -> Any:
            values = jax.tree.leaves(network.apply(variables, tokens))[0]
            return values.sum() if model == "classifier" else values[..., 0].mean()

        return jax.jit(jax.grad(loss), compiler_options=FAST_COMPILE)(variables)

    off = errors(gradient(half), jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), gradient(exact)))
    assert max(off.values()) < WORD_TOLERANCE, off
