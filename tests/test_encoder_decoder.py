"""The encoder-decoder and its attention, against their parts put together in NumPy."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import FAST_COMPILE, apply, random_variables
from reference import assert_close

from rnnjax import GRU, LSTM, RNN, Attention, Bidirectional, EncoderDecoder, Scan, StackedRNN

pytestmark = pytest.mark.usefixtures("quick_compile")

SOURCE_VOCABULARY, TARGET_VOCABULARY, EMBEDDING, BATCH, STEPS, TIME = 9, 7, 5, 6, 8, 5
RANDOM = np.random.default_rng(0)
SOURCES = jnp.asarray(RANDOM.integers(0, SOURCE_VOCABULARY, (BATCH, STEPS)), jnp.int32)
TARGETS = jnp.asarray(RANDOM.integers(0, TARGET_VOCABULARY, (BATCH, TIME)), jnp.int32)
SOURCE_LENGTHS = jnp.array([STEPS, 0, 1, 3, 5, 8])
TARGET_LENGTHS = jnp.array([TIME, 2, 0, 1, 5, 3])
LSTM_STACK = StackedRNN([RNN(LSTM(), 6, Scan()), RNN(GRU(), 3, Scan())])
ENCODERS = {
    "rnn": RNN(GRU(), 4, Scan()),
    "bidirectional": Bidirectional(RNN(GRU(), 4, Scan()), RNN(LSTM(), 2, Scan())),
}
# Largest error measured on a CPU: 6.3e-3; bfloat16 itself rounds by 4e-3.
BFLOAT16_TOLERANCE = 2e-2


def encoder_decoder(encoder: Any = ENCODERS["bidirectional"], decoder: Any = LSTM_STACK, **options: Any):
    return EncoderDecoder(SOURCE_VOCABULARY, TARGET_VOCABULARY, EMBEDDING, encoder, decoder, **options)


def randomised(model, seed=0):
    return random_variables(model, SOURCES, TARGETS, SOURCE_LENGTHS, TARGET_LENGTHS, seed=seed)


def softmax_by_hand(scores, lengths):
    """Each source's own steps picked out; zeros elsewhere."""
    weights = np.zeros_like(scores)
    for b, length in enumerate(np.minimum(lengths, scores.shape[-1])):
        powers = np.exp(scores[b, :, :length])
        weights[b, :, :length] = powers / powers.sum(axis=-1, keepdims=True) if length else 0
    return weights


def attention_by_hand(kind, params, queries, values, lengths):
    """Contexts and weights."""
    queries, values = np.asarray(queries, np.float64), np.asarray(values, np.float64)
    if kind == "general":
        scores = np.einsum("bth,he,bse->bts", queries, params["kernel"], values)
    else:
        query = queries @ params["query"]["kernel"] + params["query"]["bias"]
        joined = np.tanh(query[:, :, None] + (values @ params["key"]["kernel"])[:, None])
        scores = joined @ params["vector"]
    weights = softmax_by_hand(scores, lengths)
    return weights @ values, weights


def logits_by_hand(model, variables, source_lengths, target_lengths):
    params = jax.tree.map(np.asarray, variables["params"])
    sources = params["source_embedding"]["embedding"][SOURCES]
    outputs, final = apply(model.encoder, {"params": params["encoder"]}, sources, lengths=source_lengths)
    shapes = [(BATCH, 6), (BATCH, 6), (BATCH, 3)]
    leaves = [np.zeros(shape) for shape in shapes]
    if model.start == "bridge":
        last = np.asarray(model.encoder.last(final), np.float64)
        bridge = [params["bridge"][f"array_{i}"] for i in range(3)]
        leaves = [np.tanh(last @ array["kernel"] + array["bias"]) for array in bridge]
    hidden, cell, top = (jnp.asarray(leaf, jnp.float32) for leaf in leaves)
    targets = params["target_embedding"]["embedding"][TARGETS]
    features, _ = apply(
        model.decoder, {"params": params["decoder"]}, targets, ((hidden, cell), (top,)), lengths=target_lengths
    )
    features = np.asarray(features, np.float64)
    if model.attention != "none":
        lengths = np.full(BATCH, STEPS) if source_lengths is None else source_lengths
        contexts, _ = attention_by_hand(model.attention, params["attend"], features, outputs, lengths)
        join = params["join"]["dense"]
        features = np.tanh(np.concatenate([contexts, features], axis=-1) @ join["kernel"] + join["bias"])
    return features @ params["head"]["kernel"] + params["head"]["bias"]


CASES = [
    ("rnn", "general", "bridge"),
    ("bidirectional", "general", "bridge"),
    ("bidirectional", "additive", "zeros"),
    ("bidirectional", "none", "bridge"),
]


@pytest.mark.quick("rnn-general-bridge", "bidirectional-none-bridge")
@pytest.mark.parametrize(("encoder", "attention", "start"), CASES)
def test_logits_are_encoder_bridge_decoder_attention_and_head(encoder, attention, start):
    model = encoder_decoder(ENCODERS[encoder], attention=attention, start=start)
    variables = randomised(model)
    for lengths in ((SOURCE_LENGTHS, TARGET_LENGTHS), (None, None)):
        logits = apply(model, variables, SOURCES, TARGETS, *lengths)
        assert_close(logits, logits_by_hand(model, variables, *lengths), "values")


@pytest.mark.parametrize("kind", ["general", "additive"])
def test_attention_weighs_valid_values_and_no_others(kind):
    model = Attention(kind)
    queries, values = (
        jnp.asarray(2 * RANDOM.normal(size=size), jnp.float32) for size in ((BATCH, TIME, 3), (BATCH, STEPS, 4))
    )
    valid = jnp.arange(STEPS) < SOURCE_LENGTHS[:, None]
    variables = random_variables(model, queries, values, valid)
    contexts, weights = apply(model, variables, queries, values, valid)
    assert_close(
        (contexts, weights), attention_by_hand(kind, variables["params"], queries, values, SOURCE_LENGTHS), "values"
    )
    np.testing.assert_allclose(weights.sum(axis=-1), np.repeat((SOURCE_LENGTHS > 0)[:, None], TIME, axis=1), rtol=1e-6)
    assert not weights[np.repeat(~np.asarray(valid)[:, None], TIME, axis=1)].any()
    # Weights hang on query and value: else any mean of the right steps would do.
    assert np.abs(weights[0, 0] - weights[0, 1]).max() > 0.01
    assert np.ptp(weights[0, 0]) > 0.05


def test_what_stands_past_a_source_or_target_changes_nothing_before():
    model = encoder_decoder()
    variables = randomised(model)
    logits = apply(model, variables, SOURCES, TARGETS, SOURCE_LENGTHS, TARGET_LENGTHS)
    other = jnp.where(jnp.arange(STEPS) < SOURCE_LENGTHS[:, None], SOURCES, (SOURCES + 1) % SOURCE_VOCABULARY)
    own = jnp.arange(TIME) < TARGET_LENGTHS[:, None]
    others = jnp.where(own, TARGETS, (TARGETS + 1) % TARGET_VOCABULARY)
    got = apply(model, variables, other, others, SOURCE_LENGTHS, TARGET_LENGTHS)
    np.testing.assert_array_equal(np.asarray(got)[own], np.asarray(logits)[own])
    assert np.abs(apply(model, variables, other, TARGETS) - apply(model, variables, SOURCES, TARGETS)).max() > 1e-2


def test_steps_one_by_one_are_the_whole_target_and_no_step_reads_a_later_one():
    model = encoder_decoder()
    variables = randomised(model)
    whole = apply(model, variables, SOURCES, TARGETS, SOURCE_LENGTHS)
    bound = model.bind(variables)
    encoded, state, parts = bound.encode(SOURCES, SOURCE_LENGTHS), None, []
    for t in range(TIME):
        logits, state, weights = bound.decode(encoded, TARGETS[:, t : t + 1], state)
        parts.append(logits)
        assert weights is not None
        np.testing.assert_allclose(weights.sum(axis=-1)[:, 0], SOURCE_LENGTHS > 0, rtol=1e-6)
    assert_close(jnp.concatenate(parts, axis=1), whole, "values")


@pytest.mark.quick("none")
@pytest.mark.parametrize("attention", ["general", "additive", "none"])
def test_a_source_of_length_zero_gives_finite_values_and_gradients(attention):
    model = encoder_decoder(attention=attention)
    variables = randomised(model)

    @functools.partial(jax.jit, compiler_options=FAST_COMPILE)
    @jax.value_and_grad
    def total(variables, sources, lengths):
        logits: Any = model.apply(variables, sources, TARGETS, lengths, TARGET_LENGTHS)
        return (logits**2).sum()

    nothing = jnp.zeros(BATCH, jnp.int32)
    for sources, lengths in ((SOURCES, nothing), (SOURCES[:, :0], nothing), (SOURCES, SOURCE_LENGTHS)):
        value, gradients = total(variables, sources, lengths)
        assert np.isfinite(value)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
        moved = np.asarray(gradients["params"]["source_embedding"]["embedding"]).any()
        assert moved == bool(lengths.any())


@pytest.mark.slow
def test_the_start_is_an_option_that_changes_something():
    bridged, zeros = (encoder_decoder(start=start) for start in ("bridge", "zeros"))
    variables = randomised(bridged)
    state = bridged.bind(variables).encode(SOURCES).state
    assert all(np.asarray(leaf).all() for leaf in jax.tree.leaves(state))
    rest = {"params": {name: leaf for name, leaf in variables["params"].items() if name != "bridge"}}
    state = zeros.bind(rest).encode(SOURCES).state
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(state))
    difference = apply(zeros, rest, SOURCES, TARGETS) - apply(bridged, variables, SOURCES, TARGETS)
    assert np.abs(difference).max() > 1e-2


@pytest.mark.slow
def test_dropout_is_drawn_row_by_row_and_only_in_training():
    model = encoder_decoder(dropout=0.5)
    variables = randomised(model)
    arguments = SOURCES, TARGETS, SOURCE_LENGTHS, TARGET_LENGTHS
    plain = apply(encoder_decoder(), variables, *arguments)
    np.testing.assert_array_equal(apply(model, variables, *arguments), plain)
    rngs, rows = {"dropout": jax.random.key(1)}, jnp.arange(BATCH)
    whole = apply(model, variables, *arguments, rows=rows, rngs=rngs)
    assert np.abs(whole - plain).max() > 1e-2
    halves = [
        apply(model, variables, *(leaf[part] for leaf in arguments), rows=rows[part], rngs=rngs)
        for part in (slice(0, 3), slice(3, BATCH))
    ]
    assert_close(jnp.concatenate(halves), whole, "values")


@pytest.mark.quick("general", "none")
@pytest.mark.parametrize("attention", ["general", "additive", "none"])
def test_logits_are_float32_whatever_is_computed_in(attention):
    def both(dtype):
        layers = [RNN(cell, 4, Scan(), dtype=dtype) for cell in (GRU(), LSTM())]
        return encoder_decoder(*layers, attention=attention, dtype=dtype)

    variables = randomised(both(jnp.bfloat16))
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    got, want = (apply(both(dtype), variables, SOURCES, TARGETS, SOURCE_LENGTHS) for dtype in (jnp.bfloat16, None))
    assert got.dtype == want.dtype == jnp.float32
    assert_close(got, want, "values", tolerance=BFLOAT16_TOLERANCE, kind="bfloat16")
    assert (got != want).any()


@pytest.mark.quick("rank-none")
@pytest.mark.parametrize("attention", ["general", "additive", "none"])
@pytest.mark.parametrize("check", ["rank", "dtype"])
def test_strict_promotion_and_a_batch_of_nothing(check, attention):
    model = encoder_decoder(attention=attention)
    variables = randomised(model)
    strict = jax.numpy_rank_promotion("raise") if check == "rank" else jax.numpy_dtype_promotion("strict")
    with strict:
        shape = jax.eval_shape(model.apply, variables, SOURCES, TARGETS, SOURCE_LENGTHS, TARGET_LENGTHS)
    assert shape.shape == (BATCH, TIME, TARGET_VOCABULARY)
    assert apply(model, variables, SOURCES[:0], TARGETS[:0]).shape == (0, TIME, TARGET_VOCABULARY)


WRONG = {
    "size": ({"embedding_size": 0}, "embedding_size: expected at least 1, got 0"),
    "attention": ({"attention": "dot"}, r"attention: expected one of \['general', 'additive', 'none'\], got 'dot'"),
    "start": ({"start": "ones"}, r"start: expected one of \['bridge', 'zeros'\], got 'ones'"),
    "blind": ({"attention": "none", "start": "zeros"}, "attention, start: expected attention or a bridge"),
    "dropout": ({"dropout": -0.1}, "dropout: expected 0 <= rate < 1, got -0.1"),
    "future": ({"decoder": ENCODERS["bidirectional"]}, "decoder: expected causal layers, got one that"),
    "shared": ({"encoder": LSTM_STACK}, "encoder, decoder: expected different layer objects"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_options_that_do_not_fit_are_errors(options, message):
    sizes = {"source_vocabulary_size": 5, "target_vocabulary_size": 5, "embedding_size": 2}
    with pytest.raises(ValueError, match=message):
        EncoderDecoder(**{**sizes, "encoder": ENCODERS["rnn"], "decoder": LSTM_STACK, **options})


@pytest.mark.slow
def test_tokens_of_another_shape_and_another_score_are_errors():
    with pytest.raises(ValueError, match=r"sources: expected shape \(B, T\), got \(8,\)"):
        encoder_decoder().init(jax.random.key(0), SOURCES[0], TARGETS)
    with pytest.raises(ValueError, match="targets_in: expected integers, got float32"):
        encoder_decoder().init(jax.random.key(0), SOURCES, TARGETS * 1.0)
    with pytest.raises(ValueError, match=r"score: expected one of \['additive', 'general'\], got 'dot'"):
        Attention("dot")  # pyright: ignore[reportArgumentType]
