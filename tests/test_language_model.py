"""The language model, against its parts put together by hand, and against itself over a cut sequence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import apply, random_variables
from reference import assert_close

from rnnjax import GRU, LSTM, RNN, LanguageModel, Scan, StackedRNN

pytestmark = pytest.mark.usefixtures("quick_compile")

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


def test_resets_put_the_initial_state_back_and_not_the_carried_one():
    variables = random_variables(MODEL, TOKENS)
    _, carried = apply(MODEL, variables, TOKENS)
    resets = np.zeros(TOKENS.shape, bool)
    resets[:, 5] = True
    logits, final = apply(MODEL, variables, TOKENS, None, carried, jnp.asarray(resets))
    before, _ = apply(MODEL, variables, TOKENS[:, :5], None, carried)
    after, end = apply(MODEL, variables, TOKENS[:, 5:])
    assert_close(logits, jnp.concatenate([before, after], axis=1), "values")
    assert_close(final, end, "values")


@pytest.mark.parametrize("hidden", [5, 3])
def test_a_tied_head_is_the_embedding_behind_a_projection_where_sizes_differ(hidden):
    model = LanguageModel(9, 5, RNN(GRU(), hidden, Scan()), tied=True)
    variables = random_variables(model, TOKENS)
    params = variables["params"]
    assert set(params) == {"embedding", "recurrent", "head"} | ({"projection"} if hidden == 3 else set())
    table = np.asarray(params["embedding"]["embedding"], np.float64)
    outputs, _ = apply(model.recurrent, {"params": params["recurrent"]}, params["embedding"]["embedding"][TOKENS])
    features = np.asarray(outputs, np.float64)
    if hidden == 3:
        features = features @ params["projection"]["kernel"]
    assert_close(apply(model, variables, TOKENS)[0], features @ table.T + params["head"]["bias"], "values")


def test_a_tied_embedding_gets_the_gradients_of_both_its_uses():
    tied, plain = (LanguageModel(9, 5, RNN(GRU(), 5, Scan()), tied=tied) for tied in (True, False))
    params = random_variables(tied, TOKENS)["params"]
    untied = {**params, "head": {**params["head"], "kernel": params["embedding"]["embedding"].T}}
    gradient, parts = (
        jax.grad(lambda params, model=model: (model.apply({"params": params}, TOKENS)[0] ** 2).sum() / 100)(values)
        for model, values in ((tied, params), (plain, untied))
    )
    both = parts["embedding"]["embedding"] + parts["head"]["kernel"].T
    assert_close(gradient["embedding"]["embedding"], both, "gradients")
