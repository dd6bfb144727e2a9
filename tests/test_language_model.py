"""The language model, against its parts put together by hand, and against itself over a cut sequence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import apply, random_variables
from reference import assert_close

from rnnjax import GRU, LSTM, RNN, LanguageModel, Scan, StackedRNN

TOKENS = jnp.asarray(np.random.default_rng(0).integers(0, 9, (3, 8)), jnp.int32)
MODEL = LanguageModel(9, 5, StackedRNN([RNN(GRU(), 4, Scan()), RNN(LSTM(), 3, Scan())]))


def test_logits_are_embedding_recurrence_and_head_at_every_step():
    variables = random_variables(MODEL, TOKENS)
    params = variables["params"]
    embedded = params["embedding"]["embedding"][TOKENS]
    outputs, state = apply(MODEL.recurrent, {"params": params["recurrent"]}, embedded)
    logits, final = apply(MODEL, variables, TOKENS)
    want = np.asarray(outputs, np.float64) @ params["head"]["kernel"] + params["head"]["bias"]
    assert_close(logits, want, "values")
    assert_close(final, state, "values")


def test_a_carried_state_goes_on_where_the_sequence_was_cut():
    variables = random_variables(MODEL, TOKENS)
    whole, final = apply(MODEL, variables, TOKENS)
    first, state = apply(MODEL, variables, TOKENS[:, :3])
    second, end = apply(MODEL, variables, TOKENS[:, 3:], None, state)
    assert_close(jnp.concatenate([first, second], axis=1), whole, "values")
    assert_close(end, final, "values")
    fresh, _ = apply(MODEL, variables, TOKENS[:, 3:])
    assert np.abs(fresh - second).max() > 1e-2


def test_dropout_drops_whole_features_and_only_in_training():
    model = MODEL.clone(dropout=0.5)
    variables = random_variables(model, TOKENS)
    plain, _ = apply(model, variables, TOKENS)
    assert_close(plain, apply(MODEL, variables, TOKENS)[0], "values")
    dropped, _ = apply(model, variables, TOKENS, deterministic=False, rngs={"dropout": jax.random.key(1)})
    assert np.abs(dropped - plain).max() > 1e-2


def test_bad_sizes_and_shapes_are_errors():
    with pytest.raises(ValueError, match="vocabulary_size: expected at least 1, got 0"):
        LanguageModel(0, 5, RNN(GRU(), 4))
    with pytest.raises(ValueError, match=r"tokens: expected shape \(B, T\), got \(4,\)"):
        MODEL.init(jax.random.key(0), jnp.zeros(4, int))
