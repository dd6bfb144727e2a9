"""The sequence tagger, against its parts put together by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import FAST_COMPILE, apply, random_variables
from reference import assert_close

from rnnjax import GRU, LSTM, RNN, Bidirectional, Scan, SequenceTagger, StackedRNN

VOCABULARY, EMBEDDING, HIDDEN, TAGS, BATCH, TIME, FEATURES = 11, 5, 4, 3, 6, 7, 2
LENGTHS = jnp.array([TIME, 0, 1, 3, 5, 2])
RANDOM = np.random.default_rng(0)
TOKENS = jnp.asarray(RANDOM.integers(0, VOCABULARY, (BATCH, TIME)), jnp.int32)
REAL = jnp.asarray(RANDOM.normal(size=(BATCH, TIME, FEATURES)), jnp.float32)
INPUTS = {"tokens": (VOCABULARY, TOKENS), "features": (None, REAL)}
RECURRENT = {
    "rnn": RNN(GRU(), HIDDEN, Scan()),
    "bidirectional": Bidirectional(RNN(LSTM(), HIDDEN, Scan()), RNN(GRU(), HIDDEN, Scan())),
    "stacked": StackedRNN([RNN(GRU(), HIDDEN, Scan()), RNN(LSTM(), 3, Scan(), reverse=True)]),
}
# Largest error measured on a CPU: 4.2e-3; bfloat16 itself rounds by 4e-3.
BFLOAT16_TOLERANCE = 2e-2

every_input = pytest.mark.parametrize(("vocabulary", "inputs"), INPUTS.values(), ids=INPUTS)


def tagger(vocabulary: int | None = VOCABULARY, recurrent: Any = RECURRENT["bidirectional"], **options: Any):
    return SequenceTagger(vocabulary, EMBEDDING, recurrent, TAGS, **options)


def by_hand(model, variables, inputs, lengths):
    params = variables["params"]
    if model.vocabulary_size is None:
        projection = params["projection"]
        embedded = np.asarray(inputs, np.float64) @ projection["kernel"] + projection["bias"]
    else:
        embedded = params["embedding"]["embedding"][inputs]
    outputs, _ = apply(
        model.recurrent, {"params": params["recurrent"]}, jnp.asarray(embedded, jnp.float32), lengths=lengths
    )
    return np.asarray(outputs, np.float64) @ params["head"]["kernel"] + params["head"]["bias"]


@pytest.mark.quick("stacked-tokens", "rnn-features")
@every_input
@pytest.mark.parametrize("recurrent", RECURRENT.values(), ids=RECURRENT)
def test_logits_are_embedding_recurrence_and_head_at_every_step(recurrent, vocabulary, inputs):
    model = tagger(vocabulary, recurrent)
    variables = random_variables(model, inputs, LENGTHS)
    for lengths in (LENGTHS, None):
        logits = apply(model, variables, inputs, lengths)
        assert logits.shape == (BATCH, TIME, TAGS)
        assert_close(logits, by_hand(model, variables, inputs, lengths), "values")


@every_input
def test_past_a_length_logits_are_the_heads_bias_and_what_stands_there_is_not_read(vocabulary, inputs):
    model = tagger(vocabulary)
    variables = random_variables(model, inputs, LENGTHS)
    logits = np.asarray(apply(model, variables, inputs, LENGTHS))
    past = np.arange(TIME) >= np.asarray(LENGTHS)[:, None]
    bias = np.asarray(variables["params"]["head"]["bias"])
    np.testing.assert_array_equal(logits[past], np.broadcast_to(bias, (past.sum(), TAGS)))
    wall = past if vocabulary else past[..., None]
    other = jnp.where(wall, (inputs + 1) % VOCABULARY, inputs)
    np.testing.assert_array_equal(apply(model, variables, other, LENGTHS), logits)
    assert np.abs(np.asarray(apply(model, variables, other)) - apply(model, variables, inputs)).max() > 1e-2


def test_only_a_bidirectional_tagger_reads_the_future():
    other = TOKENS.at[:, -1].set((TOKENS[:, -1] + 1) % VOCABULARY)
    for name, reads in (("rnn", False), ("bidirectional", True)):
        model = tagger(recurrent=RECURRENT[name])
        variables = random_variables(model, TOKENS)
        first = np.asarray(apply(model, variables, TOKENS) - apply(model, variables, other))[:, :-1]
        assert (np.abs(first).max() > 1e-4) == reads


@pytest.mark.slow
def test_dropout_drops_the_same_features_at_every_step_of_both_places():
    model = tagger(None, RNN(GRU(), HIDDEN, Scan()), dropout=0.5)
    variables = random_variables(model, REAL)
    plain = apply(model, variables, REAL)
    np.testing.assert_array_equal(plain, apply(model.clone(dropout=0.0), variables, REAL))
    options = {"rngs": {"dropout": jax.random.key(3)}, "capture_intermediates": True, "mutable": ["intermediates"]}
    dropped, seen = model.apply(variables, REAL, **options)
    for name in ("Dropout_0", "Dropout_1"):
        (kept,) = seen["intermediates"][name]["__call__"]
        kept = np.asarray(kept != 0)
        assert 0 < kept.mean() < 1
        np.testing.assert_array_equal(kept, np.broadcast_to(kept[:, :1], kept.shape))
    assert np.abs(dropped - plain).max() > 1e-2


def test_a_batch_split_by_rows_drops_what_the_whole_batch_drops():
    model = tagger(dropout=0.5)
    variables = random_variables(model, TOKENS)
    rngs, rows = {"dropout": jax.random.key(1)}, jnp.arange(BATCH)
    whole = apply(model, variables, TOKENS, LENGTHS, rows=rows, rngs=rngs)
    halves = [
        apply(model, variables, TOKENS[part], LENGTHS[part], rows=rows[part], rngs=rngs)
        for part in (slice(0, 3), slice(3, BATCH))
    ]
    assert_close(jnp.concatenate(halves), whole, "values")


@every_input
def test_gradients_are_finite_and_a_sequence_of_length_zero_has_none(vocabulary, inputs):
    model = tagger(vocabulary)
    variables = random_variables(model, inputs, LENGTHS)

    def total(variables, lengths):
        logits: Any = model.apply(variables, inputs, lengths)
        return (logits**2).sum()

    gradient = jax.jit(jax.grad(total), compiler_options=FAST_COMPILE)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient(variables, LENGTHS)))
    params = dict(gradient(variables, jnp.zeros(BATCH, jnp.int32))["params"])
    bias = params.pop("head")["bias"]
    assert_close(bias, 2 * BATCH * TIME * variables["params"]["head"]["bias"], "gradients")
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(params))


@every_input
def test_logits_are_float32_whatever_is_computed_in(vocabulary, inputs):
    def both(dtype):
        forward, backward = (RNN(GRU(), HIDDEN, Scan(), dtype=dtype) for _ in range(2))
        return tagger(vocabulary, Bidirectional(forward, backward), dtype=dtype)

    variables = random_variables(both(jnp.bfloat16), inputs)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    got, want = (apply(both(dtype), variables, inputs, LENGTHS) for dtype in (jnp.bfloat16, None))
    assert got.dtype == want.dtype == jnp.float32
    assert_close(got, want, "values", tolerance=BFLOAT16_TOLERANCE, kind="bfloat16")
    assert (got != want).any()


@every_input
@pytest.mark.parametrize("check", ["rank", "dtype"])
def test_strict_promotion_and_a_batch_of_nothing(check, vocabulary, inputs):
    model = tagger(vocabulary)
    variables = random_variables(model, inputs)
    strict = jax.numpy_rank_promotion("raise") if check == "rank" else jax.numpy_dtype_promotion("strict")
    with strict:
        shape = jax.eval_shape(model.apply, variables, inputs, LENGTHS)
    assert shape.shape == (BATCH, TIME, TAGS)
    assert apply(model, variables, inputs[:0], LENGTHS[:0]).shape == (0, TIME, TAGS)


WRONG = {
    "vocabulary_size": ({"vocabulary": 0}, "vocabulary_size: expected at least 1, got 0"),
    "dropout": ({"dropout": 1.0}, r"dropout: expected 0 <= rate < 1, got 1\.0"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_options_out_of_range_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        tagger(**options)


def test_inputs_of_the_other_kind_are_errors():
    with pytest.raises(ValueError, match="tags: expected at least 1, got 0"):
        SequenceTagger(3, 3, RECURRENT["rnn"], 0)
    with pytest.raises(ValueError, match=r"inputs: expected shape \(B, T\), got \(6, 7, 2\)"):
        tagger().init(jax.random.key(0), REAL)
    with pytest.raises(ValueError, match="inputs: expected integers, got float32"):
        tagger().init(jax.random.key(0), REAL[..., 0])
    with pytest.raises(ValueError, match=r"inputs: expected features of shape \(B, T, F\), got \(6, 7\)"):
        tagger(None).init(jax.random.key(0), TOKENS)
