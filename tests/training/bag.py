"""A bag of words, which compiles in no time: for tests of what surrounds the compiled code."""

import jax
import jax.numpy as jnp
import numpy as np
from toy import VOCABULARY

from rnnjax.training import TrainState, classification


def apply(params, tokens, lengths, *, deterministic, rows, rngs=None):
    """Logits of the mean word, with noise in place of dropout."""
    words = params["words"][tokens]
    if rngs is not None:
        words += 0.1 * jax.random.normal(rngs["dropout"], (1, *words.shape[1:]))
    return jnp.tanh(words.mean(axis=1)) @ params["head"]


OBJECTIVE = classification(apply, 2)
PARAMS = {
    "words": np.random.default_rng(0).normal(size=(VOCABULARY, 3)).astype(np.float32),
    "head": np.array([1, -1, 2], np.float32),
}


def new_state(optimizer, step) -> TrainState:
    return step.replicate(TrainState.create(PARAMS, optimizer, jax.random.key(1)))
