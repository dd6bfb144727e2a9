"""A language model of one Elman layer in NumPy float64, with its gradient by hand, and a text with resets."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import reference
from flax_modules import random_variables

from rnnjax import RNN, Elman, LanguageModel, Scan

WORDS, HIDDEN = 7, 5
MODEL = LanguageModel(WORDS, 4, RNN(Elman(), HIDDEN, Scan()))
RANDOM = np.random.default_rng(0)
TOKENS = RANDOM.integers(0, WORDS, 41).astype(np.int32)
RESETS = RANDOM.random(41) < 0.15
PARAMS = jax.tree.map(
    lambda leaf: 2 * np.asarray(leaf, np.float64), random_variables(MODEL, jnp.zeros((1, 1), jnp.int32))["params"]
)
# Largest error measured on a CPU: 1.8e-14.
TOLERANCE = 1e-12


def features(params, *arguments, **options):
    return MODEL.apply({"params": params}, *arguments, method="features", **options)


class Read(NamedTuple):
    """One window: the loss of each target, the features, the final state, and the gradient of the mean loss."""

    losses: np.ndarray
    features: np.ndarray
    state: np.ndarray
    gradient: dict


def read(params, tokens, targets, resets, state):
    """Forward and back through the T steps of a window."""
    cell, head = params["recurrent"]["cell"], params["head"]
    own = {"kernel": cell["input"]["kernel"], "bias": cell["input"]["bias"]}
    own |= {"recurrent_kernel": cell["recurrent"]["kernel"]}
    inputs = params["embedding"]["embedding"][tokens][:, None]

    def run(d_outputs):
        none = (np.zeros((1, HIDDEN)),)
        return reference.run(
            oracles.ORACLES["elman"], own, inputs, (state,), d_outputs, none, resets=np.asarray(resets)[:, None]
        )

    outputs = run(np.zeros((len(tokens), 1, HIDDEN))).outputs[:, 0]
    logits = outputs @ head["kernel"] + head["bias"]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    losses = -np.log(shares[np.arange(len(tokens)), targets])
    d_logits = (shares - np.eye(WORDS)[targets]) / len(tokens)
    back = run((d_logits @ head["kernel"].T)[:, None])
    d_embedding = np.zeros_like(params["embedding"]["embedding"])
    np.add.at(d_embedding, tokens, back.d_inputs[:, 0])
    gradient = {
        "embedding": {"embedding": d_embedding},
        "head": {"kernel": outputs.T @ d_logits, "bias": d_logits.sum(axis=0)},
        "recurrent": {
            "cell": {
                "input": {"kernel": back.d_params["kernel"], "bias": back.d_params["bias"]},
                "recurrent": {"kernel": back.d_params["recurrent_kernel"]},
            }
        },
    }
    return Read(losses, outputs, back.final[0], gradient)


def windows(steps):
    """(tokens, targets, resets) of each window of the text; the last one may be shorter."""
    for start in range(0, len(TOKENS) - 1, steps):
        end = min(start + steps, len(TOKENS) - 1)
        yield TOKENS[start:end], TOKENS[start + 1 : end + 1], RESETS[start:end]
