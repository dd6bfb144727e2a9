"""The sequence classifier, against its parts put together by hand in NumPy."""

import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import FAST_COMPILE, apply, random_variables
from reference import assert_close

from rnnjax.cells import GRU, LSTM
from rnnjax.layers import RNN, Bidirectional, StackedRNN
from rnnjax.models import SequenceClassifier
from rnnjax.recurrences import Scan

pytestmark = pytest.mark.usefixtures("quick_compile")

VOCABULARY, EMBEDDING, HIDDEN, BATCH, TIME = 11, 5, 4, 6, 7
LENGTHS = jnp.array([TIME, 0, 1, 3, 5, 2])
TOKENS = jnp.asarray(np.random.default_rng(0).integers(0, VOCABULARY, (BATCH, TIME)), jnp.int32)
POOLINGS = ["last", "mean", "max", "mean-max"]

# Largest error measured on a CPU: 7.2e-3; bfloat16 itself rounds by 4e-3.
BFLOAT16_TOLERANCE = 2e-2

RECURRENT = {
    "rnn": RNN(GRU(), HIDDEN, Scan()),
    "bidirectional": Bidirectional(RNN(LSTM(), HIDDEN, Scan()), RNN(LSTM(), HIDDEN, Scan())),
    "stacked": StackedRNN((RNN(GRU(), HIDDEN, Scan(), reverse=True), RNN(LSTM(), 3, Scan()))),
}

every_pooling = pytest.mark.parametrize("pooling", POOLINGS)
every_recurrent = pytest.mark.parametrize("recurrent", RECURRENT.values(), ids=RECURRENT)


def classifier(recurrent=RECURRENT["rnn"], **options):
    return SequenceClassifier(VOCABULARY, EMBEDDING, recurrent, **options)


def randomised(model):
    return random_variables(model, TOKENS, LENGTHS)


def pooled_by_hand(pooling, outputs, lengths, recurrent):
    """Each sequence's own steps picked out and pooled; zeros where there are none."""
    rows = []
    for output, length in zip(np.asarray(outputs, np.float64), lengths, strict=True):
        steps = output[:length]
        if length == 0:
            rows.append(np.zeros(output.shape[-1] * len(pooling.split("-"))))
        elif pooling == "last" and isinstance(recurrent, Bidirectional):
            # Run down, the last step is the first.
            rows.append(np.concatenate([steps[-1, :HIDDEN], steps[0, HIDDEN:]]))
        else:
            rows.append(
                {
                    "last": lambda s: s[-1],
                    "mean": lambda s: s.mean(0),
                    "max": lambda s: s.max(0),
                    "mean-max": lambda s: np.concatenate([s.mean(0), s.max(0)]),
                }[pooling](steps)
            )
    return np.stack(rows)


def logits_by_hand(model, variables, lengths):
    params = variables["params"]
    embedded = params["embedding"]["embedding"][TOKENS]
    outputs, _ = apply(model.recurrent, {"params": params["recurrent"]}, embedded, lengths=lengths)
    steps = np.full(BATCH, TIME) if lengths is None else lengths
    return (
        pooled_by_hand(model.pooling, outputs, steps, model.recurrent) @ params["head"]["kernel"]
        + params["head"]["bias"]
    )


@every_pooling
@every_recurrent
def test_logits_are_embedding_recurrence_pooling_and_head(recurrent, pooling):
    model = classifier(recurrent, pooling=pooling, logits=3)
    variables = randomised(model)
    assert_close(apply(model, variables, TOKENS, LENGTHS), logits_by_hand(model, variables, LENGTHS), "values")


def test_dense_layers_are_relu_layers_between_the_pooling_and_the_head():
    model = classifier(logits=3, dense=[5, 4])
    variables = randomised(model)
    params = variables["params"]
    features = {**params, "head": {"kernel": jnp.eye(HIDDEN), "bias": jnp.zeros(HIDDEN)}}
    pooled = logits_by_hand(classifier(logits=HIDDEN), {"params": features}, LENGTHS)
    for name in ("dense_0", "dense_1"):
        pooled = np.maximum(pooled @ params[name]["kernel"] + params[name]["bias"], 0)
    want = pooled @ params["head"]["kernel"] + params["head"]["bias"]
    assert np.abs(want - params["head"]["bias"]).max() > 0.1
    assert_close(apply(model, variables, TOKENS, LENGTHS), want, "values")


@every_pooling
def test_without_lengths_every_step_is_pooled(pooling):
    model = classifier(pooling=pooling, logits=3)
    variables = randomised(model)
    assert_close(apply(model, variables, TOKENS), logits_by_hand(model, variables, None), "values")


@every_pooling
def test_one_logit_is_one_number_a_sequence(pooling):
    model = classifier(pooling=pooling)
    variables = randomised(model)
    logits = apply(model, variables, TOKENS, LENGTHS)
    assert logits.shape == (BATCH,)
    assert_close(logits, logits_by_hand(model, variables, LENGTHS)[:, 0], "values")


@every_pooling
@every_recurrent
def test_what_stands_on_padded_steps_changes_nothing(recurrent, pooling):
    model = classifier(recurrent, pooling=pooling, logits=3)
    variables = randomised(model)
    other = jnp.where(jnp.arange(TIME) < LENGTHS[:, None], TOKENS, (TOKENS + 1) % VOCABULARY)
    logits = apply(model, variables, TOKENS, LENGTHS)
    np.testing.assert_array_equal(apply(model, variables, other, LENGTHS), logits)


@every_pooling
def test_wider_padding_changes_nothing(pooling):
    model = classifier(pooling=pooling, logits=3)
    variables = randomised(model)
    wider = jnp.concatenate([TOKENS, TOKENS[:, :2]], axis=1)
    assert_close(apply(model, variables, wider, LENGTHS), apply(model, variables, TOKENS, LENGTHS), "values")


@every_pooling
def test_a_sequence_of_length_zero_is_scored_from_zeros_and_has_finite_gradients(pooling):
    model = classifier(pooling=pooling, logits=2)
    variables = randomised(model)
    empty = jnp.zeros(BATCH, jnp.int32)

    @functools.partial(jax.jit, compiler_options=FAST_COMPILE)
    @jax.value_and_grad
    def total(variables, lengths):
        logits: Any = model.apply(variables, TOKENS, lengths)
        return logits.sum()

    logits, gradients = total(variables, empty)
    assert_close(logits, BATCH * variables["params"]["head"]["bias"].sum(), "values")
    want = jax.tree.map(np.zeros_like, variables)
    want["params"]["head"]["bias"] = np.full(2, BATCH, np.float32)
    assert_close(gradients, want, "gradients")
    _, mixed = total(variables, LENGTHS)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(mixed))


def dropping(model, variables, tokens=TOKENS, lengths=LENGTHS, rows=None, seed=0):
    rngs = {"dropout": jax.random.key(seed)}
    return apply(model, variables, tokens, lengths, deterministic=False, rows=rows, rngs=rngs)


def test_input_dropout_drops_the_same_features_at_every_step():
    model = classifier(input_dropout=0.5)
    variables = randomised(model)
    rngs = {"dropout": jax.random.key(0)}
    options = {"deterministic": False, "rngs": rngs, "capture_intermediates": True, "mutable": ["intermediates"]}
    _, seen = model.apply(variables, TOKENS, LENGTHS, **options)
    (inputs,) = seen["intermediates"]["Dropout_0"]["__call__"]
    kept = np.asarray(inputs != 0)
    np.testing.assert_array_equal(kept, np.broadcast_to(kept[:, :1], kept.shape))
    assert 0 < kept.mean() < 1
    assert (kept[0, 0] != kept[1:, 0]).any()
    embedded = np.asarray(variables["params"]["embedding"]["embedding"])[TOKENS]
    np.testing.assert_allclose(np.asarray(inputs)[kept], embedded[kept] / 0.5, rtol=1e-6)


@pytest.mark.parametrize("where", ["input_dropout", "dropout"])
def test_dropout_is_drawn_anew_from_every_key_and_off_by_default(where):
    model = classifier(**{where: 0.5}, logits=4)
    variables = randomised(model)
    plain = apply(classifier(logits=4), variables, TOKENS, LENGTHS)
    np.testing.assert_array_equal(apply(model, variables, TOKENS, LENGTHS), plain)
    first, again, other = (dropping(model, variables, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != plain).any()
    assert (first != other).any()


def test_a_batch_split_by_rows_drops_what_the_whole_batch_drops():
    model = classifier(input_dropout=0.5, dropout=0.5, logits=2)
    variables = randomised(model)
    whole, rows = dropping(model, variables), jnp.arange(BATCH)
    parts = [
        dropping(model, variables, TOKENS[part], LENGTHS[part], rows[part]) for part in (slice(0, 3), slice(3, BATCH))
    ]
    assert_close(np.concatenate(parts), whole, "values")
    assert np.abs(dropping(model, variables, TOKENS[3:], LENGTHS[3:]) - whole[3:]).max() > 1e-2


@every_pooling
def test_logits_are_float32_whatever_is_computed_in(pooling):
    rounded = classifier(RNN(GRU(), HIDDEN, Scan(), dtype=jnp.bfloat16), dtype=jnp.bfloat16, pooling=pooling, logits=3)
    variables = randomised(rounded)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    got, want = (apply(model, variables, TOKENS, LENGTHS) for model in (rounded, classifier(pooling=pooling, logits=3)))
    assert got.dtype == want.dtype == jnp.float32
    assert_close(got, want, "values", tolerance=BFLOAT16_TOLERANCE, kind="bfloat16")
    assert (got != want).any()


def test_parameters_are_named_and_shaped_as_documented():
    got = jax.tree.map(lambda leaf: leaf.shape, randomised(classifier(logits=3))["params"])
    gru = {
        "input": {"kernel": (EMBEDDING, 12), "bias": (12,)},
        "recurrent": {"kernel": (HIDDEN, 12), "bias": (12,)},
    }
    head = {"kernel": (HIDDEN, 3), "bias": (3,)}
    assert got == {"embedding": {"embedding": (VOCABULARY, EMBEDDING)}, "recurrent": {"cell": gru}, "head": head}


FEATURES = jnp.asarray(np.random.default_rng(1).normal(size=(BATCH, TIME, 2)), jnp.float32)


@pytest.mark.parametrize("recurrent", [*RECURRENT.values(), None], ids=[*RECURRENT, "bag of words"])
def test_features_follow_the_embedding(recurrent):
    model = classifier(recurrent, features=2, logits=3, pooling="mean")
    variables = randomised(model)  # without features: they are only needed to apply
    params = variables["params"]
    inputs = jnp.concatenate([params["embedding"]["embedding"][TOKENS], FEATURES], axis=-1)
    outputs = (
        inputs if recurrent is None else apply(recurrent, {"params": params["recurrent"]}, inputs, lengths=LENGTHS)[0]
    )
    want = pooled_by_hand("mean", outputs, LENGTHS, recurrent) @ params["head"]["kernel"] + params["head"]["bias"]
    assert_close(apply(model, variables, TOKENS, LENGTHS, features=FEATURES), want, "values")
    padded = jnp.where((jnp.arange(TIME) < LENGTHS[:, None])[..., None], FEATURES, 9.0)
    got = apply(model, variables, TOKENS, LENGTHS, features=padded)
    assert_close(got, want, "values")


def test_features_are_not_dropped_and_have_the_dtype_of_the_network():
    model = classifier(None, features=2, word_dropout=0.99, input_dropout=0.99, pooling="mean", dtype=jnp.bfloat16)
    plain = classifier(None, features=2, pooling="mean")
    variables = randomised(plain)
    embedding = jax.tree.map(jnp.zeros_like, variables["params"]["embedding"])
    variables = {"params": {**variables["params"], "embedding": embedding}}
    got = model.apply(variables, TOKENS, LENGTHS, features=FEATURES, rngs={"dropout": jax.random.key(0)})
    want = apply(plain, variables, TOKENS, LENGTHS, features=FEATURES)
    assert_close(got, want, "values", tolerance=BFLOAT16_TOLERANCE, kind="bfloat16")


def test_features_of_another_shape_are_errors():
    with pytest.raises(ValueError, match=r"^features: expected at least 0, got -1$"):
        classifier(features=-1)
    for features, given in ((2, None), (2, FEATURES[:, :, :1]), (2, FEATURES[:, 1:]), (0, FEATURES)):
        model = classifier(features=features)
        shape = re.escape(str((BATCH, TIME, features)))
        got = re.escape(str(None if given is None else given.shape))
        with pytest.raises(ValueError, match=f"features: expected shape {shape}, got {got}"):
            model.apply(randomised(model), TOKENS, LENGTHS, features=given)


def test_unknown_pooling_is_an_error():
    with pytest.raises(ValueError, match=r"pooling: expected one of \['last', 'max', 'mean', 'mean-max'\], got 'sum'"):
        classifier(pooling="sum")


@pytest.mark.parametrize("name", ["vocabulary_size", "embedding_size", "logits"])
def test_a_size_below_one_is_an_error(name):
    sizes: dict[str, Any] = {"vocabulary_size": 9, "embedding_size": 2, "logits": 1, name: 0}
    with pytest.raises(ValueError, match=f"{name}: expected at least 1, got 0"):
        SequenceClassifier(recurrent=RECURRENT["rnn"], **sizes)


def test_tokens_of_one_axis_and_dropout_out_of_range_are_errors():
    with pytest.raises(ValueError, match=r"tokens: expected shape \(B, T\), got \(4,\)"):
        SequenceClassifier(5, 2, RNN(GRU(), 2)).init(jax.random.key(0), jnp.zeros(4, int))
    with pytest.raises(ValueError, match=r"input_dropout: expected 0 <= rate < 1, got 1\.5"):
        SequenceClassifier(5, 2, RNN(GRU(), 2), input_dropout=1.5)


@pytest.mark.parametrize("pooling", ["mean", "max", "mean-max"])
def test_without_recurrence_a_text_is_the_bag_of_its_words(pooling):
    model = classifier(None, pooling=pooling, logits=3)
    variables = randomised(model)
    params = variables["params"]
    embedded = params["embedding"]["embedding"][TOKENS]
    for lengths in (LENGTHS, None):
        steps = np.full(BATCH, TIME) if lengths is None else lengths
        want = pooled_by_hand(pooling, embedded, steps, None) @ params["head"]["kernel"] + params["head"]["bias"]
        assert_close(apply(model, variables, TOKENS, lengths), want, "values")
    with pytest.raises(ValueError, match=r"pooling: expected max or mean for a bag of words, got 'last'"):
        classifier(None, pooling="last")


def test_word_dropout_drops_whole_words():
    model = SequenceClassifier(VOCABULARY, EMBEDDING, None, logits=EMBEDDING, pooling="mean", word_dropout=0.5)
    variables = {
        "params": {
            "embedding": {"embedding": jnp.ones((VOCABULARY, EMBEDDING))},
            "head": {"kernel": jnp.eye(EMBEDDING), "bias": jnp.zeros(EMBEDDING)},
        }
    }
    kept: Any = model.apply(variables, TOKENS, deterministic=False, rngs={"dropout": jax.random.key(0)})
    # Every feature of a word goes or stays, and what stays counts twice: the mean is 2 / T of the words that stay.
    words = kept * TIME / 2
    np.testing.assert_allclose(words, np.round(words), atol=1e-5)
    np.testing.assert_array_equal(words, np.repeat(words[:, :1], EMBEDDING, axis=1))
    assert len(np.unique(np.round(words))) > 1
    np.testing.assert_allclose(apply(model, variables, TOKENS), np.ones((BATCH, EMBEDDING)), rtol=1e-6)
