"""JAX's and Flax's tools around a layer: export, debug_nans, strict promotion, explicit meshes, forward mode, empty
batches, cells within Flax's own loops. Each works under every recurrence, or says in one line what to do."""

from collections.abc import Callable
from itertools import product
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import FAST_COMPILE, random_variables
from jax import export
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from reference import assert_close

from rnnjax import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Chunked,
    Elman,
    FlaxCell,
    Forecaster,
    LanguageModel,
    Recurrence,
    Scan,
    SequenceClassifier,
    StackedRNN,
    Unrolled,
)
from rnnjax.forecasting import Gaussian

pytestmark = pytest.mark.usefixtures("quick_compile")

BATCH, TIME, INPUT, HIDDEN = 4, 6, 3, 4
INPUTS = jax.random.normal(jax.random.key(0), (BATCH, TIME, INPUT))
TOKENS = jax.random.randint(jax.random.key(1), (BATCH, TIME), 0, 9)
LENGTHS = jnp.array([TIME, 0, 1, 4])
RNGS = {"dropout": jax.random.key(2)}
RECURRENCES: dict[str, Recurrence] = {
    "scan": Scan(),
    "unrolled": Unrolled(),
    "default": Chunked(),
    "size": Chunked(4),
    "gates": Chunked(4, "gates"),
    "boundaries": Chunked(4, "boundaries"),
}


@pytest.mark.quick("default-1-both", "gates-1-both")
@pytest.mark.usefixtures("without_annotation_checks")  # a symbolic size is no int
@pytest.mark.quick("default-1-both", "unrolled-1-time", "gates-1-both", "boundaries-1-batch")
@pytest.mark.parametrize("symbolic", ["batch", "time", "both"])
@pytest.mark.parametrize(("name", "order"), [*((name, 1) for name in RECURRENCES), ("scan", 0), ("default", 0)])
def test_export_with_a_batch_or_time_that_is_not_known(name, order, symbolic):
    recurrence = RECURRENCES[name]
    layer = RNN(GRU(), HIDDEN, recurrence)
    variables = random_variables(layer, INPUTS)
    names = {"batch": f"b, {TIME}, {INPUT}", "time": f"{BATCH}, t, {INPUT}", "both": f"b, t, {INPUT}"}
    shape = jax.ShapeDtypeStruct(export.symbolic_shape(names[symbolic]), jnp.float32)
    if isinstance(recurrence, Unrolled) and symbolic != "batch":
        with pytest.raises(
            ValueError, match="Unrolled: expected a fixed number of steps, got T = t; use Scan or Chunked"
        ):
            export.export(jax.jit(layer.apply))(variables, shape)
        return

    def loss(variables: Any, inputs: Any) -> Any:
        outputs: Any
        final: Any
        outputs, final = layer.apply(variables, inputs)
        return (outputs**2).sum() + final.hidden.sum()

    function = loss if order == 0 else jax.grad(loss)
    exported = export.export(jax.jit(function))(variables, shape)
    batch, time = (BATCH if symbolic == "time" else 3), (TIME if symbolic == "batch" else 11)
    inputs = jax.random.normal(jax.random.key(3), (batch, time, INPUT))
    assert_close(exported.call(variables, inputs), function(variables, inputs), "values")


@pytest.mark.quick("scan-1", "gates-0", "size-1")
@pytest.mark.parametrize(("name", "time"), [*product(RECURRENCES, (0, 1, TIME)), ("gates", 3), ("boundaries", 3)])
def test_debug_nans_finds_none_where_there_is_none(name, time):
    """As `--debug-nans` runs a step again: operation by operation."""
    layer = RNN(LSTM(), HIDDEN, RECURRENCES[name])
    variables, inputs = random_variables(layer, INPUTS), INPUTS[:, :time]

    def loss(variables: Any) -> Any:
        return (layer.apply(variables, inputs, lengths=jnp.minimum(LENGTHS, time))[0] ** 2).sum()

    with jax.debug_nans(True), jax.disable_jit():
        got = jax.grad(loss)(variables)
    assert_close(got, jax.jit(jax.grad(loss))(variables), "gradients")


def models(recurrence: Recurrence) -> dict[str, tuple[Any, Any]]:
    def lstm(**options: Any) -> RNN:
        return RNN(LSTM(second_bias=True), HIDDEN, recurrence, **options)

    noise: dict[str, Any] = dict.fromkeys(
        ("input_dropout", "output_dropout", "state_dropout", "weight_dropout", "zoneout"), 0.3
    )
    return {
        "rnn": (lstm(**noise), INPUTS),
        "stack": (StackedRNN([Bidirectional(lstm(), RNN(GRU(), 2, recurrence, **noise)), lstm()]), INPUTS),
        "last": (SequenceClassifier(9, 3, lstm(), 3, dense=(2,), dropout=0.2, word_dropout=0.1), TOKENS),
        "mean": (SequenceClassifier(9, 3, lstm(), pooling="mean", input_dropout=0.2), TOKENS),
        "max": (SequenceClassifier(9, 3, lstm(), pooling="max"), TOKENS),
        "mean-max": (SequenceClassifier(9, 3, lstm(), pooling="mean-max"), TOKENS),
        "bag": (SequenceClassifier(9, 3, None, pooling="mean"), TOKENS),
        "language_model": (LanguageModel(9, 3, lstm(), dropout=0.2), TOKENS),
        "tied": (LanguageModel(9, 3, lstm(), tied=True), TOKENS),
    }


SEQUENTIAL = {name: RECURRENCES[name] for name in ("scan", "unrolled", "gates", "boundaries")}
# Compiling is what a case costs: models hold no recurrence of their own.
CASES = [
    (name, recurrence)
    for name in models(Scan())
    for recurrence in SEQUENTIAL
    if recurrence == "boundaries" or name == "rnn"
]
every_case = pytest.mark.parametrize(("name", "recurrence"), CASES)


def value_and_gradient(model: Any, rngs: Any = RNGS) -> Any:
    def loss(variables: Any, inputs: Any, lengths: Any = None) -> Any:
        options = {} if lengths is None else {"lengths": lengths}
        values = model.apply(variables, inputs, rngs=rngs, **options)
        return sum((leaf.astype(jnp.float32) ** 2).sum() for leaf in jax.tree.leaves(values))

    return jax.jit(jax.value_and_grad(loss), compiler_options=FAST_COMPILE)


@pytest.mark.quick("rnn-*", "stack-boundaries", "language_model-boundaries")
@every_case
def test_a_batch_of_nothing_has_gradients_of_zero(name, recurrence):
    model, inputs = models(SEQUENTIAL[recurrence])[name]
    variables = random_variables(model, inputs)
    value, gradients = value_and_gradient(model)(variables, inputs[:0], LENGTHS[:0])
    assert float(value) == 0
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(gradients))


@pytest.mark.quick("rank-rnn-boundaries", "dtype-rnn-gates", "dtype-rnn-unrolled", "dtype-tied-boundaries")
@pytest.mark.parametrize(("name", "recurrence"), CASES)
@pytest.mark.parametrize("check", ["rank", "dtype"])
def test_strict_promotion_changes_nothing(check, name, recurrence):
    model, inputs = models(SEQUENTIAL[recurrence])[name]
    variables = random_variables(model, inputs)
    strict = jax.numpy_rank_promotion("raise") if check == "rank" else jax.numpy_dtype_promotion("strict")
    # Tracing is where promotion is checked.
    plain = value_and_gradient(model).lower(variables, inputs, LENGTHS).as_text()
    with strict:
        assert value_and_gradient(model).lower(variables, inputs, LENGTHS).as_text() == plain


@pytest.mark.parametrize("both", [True, False], ids=["model_too", "layer_alone"])
@pytest.mark.parametrize(
    "model",
    [
        SequenceClassifier(9, 3, RNN(GRU(), 3, dtype=jnp.bfloat16), 3, dense=(2,)),
        SequenceClassifier(9, 3, Bidirectional(RNN(GRU(), 3), RNN(GRU(), 3), "mean"), pooling="mean"),
        LanguageModel(9, 3, RNN(GRU(), 3, dtype=jnp.bfloat16)),
        LanguageModel(9, 3, RNN(GRU(), 2, dtype=jnp.bfloat16), tied=True),
        Forecaster(RNN(GRU(), 3, dtype=jnp.bfloat16), Gaussian(), 2, projection=3),
    ],
    ids=["classifier", "both_directions", "language_model", "tied", "forecaster"],
)
def test_strict_promotion_of_models_with_layers_in_bfloat16(model, both):
    if both and not isinstance(model, Forecaster):
        model = model.clone(dtype=jnp.bfloat16)
    inputs = INPUTS if isinstance(model, Forecaster) else TOKENS
    variables = random_variables(model, inputs)
    plain = value_and_gradient(model, {}).lower(variables, inputs).as_text()
    with jax.numpy_dtype_promotion("strict"):
        assert value_and_gradient(model, {}).lower(variables, inputs).as_text() == plain


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("recurrence", SEQUENTIAL.values(), ids=SEQUENTIAL)
def test_strict_promotion_in_half_precision(recurrence, dtype):
    layer = models(recurrence)["rnn"][0].clone(dtype=dtype)
    variables = random_variables(layer, INPUTS)
    resets = jnp.zeros((BATCH, TIME), bool).at[0, 2].set(True)

    def loss(variables: Any) -> Any:
        return layer.apply(variables, INPUTS, None, LENGTHS, resets, rngs=RNGS)[0].sum()

    with jax.numpy_dtype_promotion("strict"):
        jax.eval_shape(jax.grad(loss), variables)


@pytest.mark.quick("max-boundaries")
@every_case
def test_explicit_axes(name, recurrence):
    model, inputs = models(SEQUENTIAL[recurrence])[name]
    variables = random_variables(model, inputs)
    want = value_and_gradient(model)(variables, inputs, LENGTHS)
    mesh = jax.make_mesh((2,), ("rows",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        rows = NamedSharding(mesh, P("rows"))
        got = value_and_gradient(model)(variables, jax.device_put(inputs, rows), jax.device_put(LENGTHS, rows))
        outputs = jax.jit(lambda inputs: model.apply(variables, inputs))(jax.device_put(inputs, rows))
        assert jax.tree.leaves(outputs)[0].sharding.spec[0] == "rows"
    assert_close(got, want, "gradients", tolerance=1e-5)


FORWARD: dict[str, Callable[[Any, Any], Any]] = {
    "jvp": lambda function, x: jax.jvp(function, (x,), (x,))[1],
    "jacfwd": jax.jacfwd,
    "linearize": lambda function, x: jax.linearize(function, x)[1](x),
}
FORWARD["jacfwd"] = lambda function, x: jax.jacfwd(function)(x)


@pytest.mark.parametrize("name", FORWARD)
@pytest.mark.parametrize("recurrence", [Chunked(4, "gates"), Chunked(4, "boundaries")], ids=str)
def test_forward_mode_under_chunked_names_the_cure(name, recurrence):
    def function(recurrence: Recurrence) -> Callable[[Any], Any]:
        layer = RNN(Elman(), 2, recurrence)
        variables = random_variables(layer, INPUTS)
        return lambda inputs: layer.apply(variables, inputs)[0][:, -1]

    if name != "linearize":  # which finds out only when what it gave is called
        with pytest.raises(TypeError, match=r"got forward mode .*: use the recurrence Scan\(\) or Unrolled\(\)"):
            FORWARD[name](function(recurrence), INPUTS)
    want, got = (FORWARD[name](function(each), INPUTS) for each in (Scan(), Unrolled()))
    assert_close(got, want, "tangents")


@pytest.mark.parametrize("recurrence", [Unrolled(), Chunked(4, "gates"), Chunked(4, "boundaries")], ids=str)
def test_hessians(recurrence):
    def hessian(recurrence: Recurrence) -> Any:
        layer = RNN(Elman(), 2, recurrence)
        variables = random_variables(layer, INPUTS)
        return jax.jit(jax.hessian(lambda inputs: (layer.apply(variables, inputs)[0] ** 2).sum()))(INPUTS[:1])

    want = hessian(Scan())
    assert np.abs(want).max() > 0.1
    assert_close(hessian(recurrence), want, "second derivatives", tolerance=5e-6)


CARRIES: dict[str, Callable[[Any], Any]] = {"state": lambda state: state, "tuple": tuple, "list": list}


@pytest.mark.parametrize("given", CARRIES)
@pytest.mark.parametrize("dtype", [None, jnp.bfloat16])
def test_a_flax_cell_gives_the_carry_back_as_it_came(given, dtype):
    carry = CARRIES[given](LSTM().init_state(BATCH, HIDDEN)._replace(cell=jnp.ones((BATCH, HIDDEN))))
    layer = nn.RNN(FlaxCell(LSTM(), HIDDEN, dtype=dtype), return_carry=True)
    (final, outputs), variables = layer.init_with_output(jax.random.key(0), INPUTS, initial_carry=carry)
    assert jax.tree.structure(final) == jax.tree.structure(carry)
    assert [leaf.dtype for leaf in jax.tree.leaves(final)] == [jnp.float32, jnp.float32]
    own = RNN(LSTM(), HIDDEN, Scan(), dtype=dtype)
    want, want_final = own.apply({"params": variables["params"]["cell"]}, INPUTS, tuple(carry))
    tolerance = 2e-6 if dtype is None else 2e-2
    got = (outputs, *jax.tree.leaves(final))
    assert_close(got, (want, *want_final), "values", tolerance=tolerance)


def test_a_carry_of_another_cell_is_named():
    cell = FlaxCell(LSTM(), HIDDEN)
    variables = cell.init(jax.random.key(0), cell.initialize_carry(jax.random.key(0), (BATCH, INPUT)), INPUTS[:, 0])
    with pytest.raises(ValueError, match=r"carry: expected fields \('hidden', 'cell'\), got \('hidden',\)"):
        cell.apply(variables, GRU().init_state(BATCH, HIDDEN), INPUTS[:, 0])
