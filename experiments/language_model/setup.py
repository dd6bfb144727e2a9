"""What a training of a language model consists of: streams, network, objective, optimizer and initial state."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.language_model.config import Language
from experiments.language_model.data import Corpus
from rnnjax import LanguageModel
from rnnjax.data import Stream
from rnnjax.models import logits_of
from rnnjax.training import Objective, TrainState, init_params, initial_carry, next_in_stream


class Setup(NamedTuple):
    """A training that has not begun. `epoch_steps` is the number of steps of an epoch."""

    streams: dict[str, Stream]
    objective: Objective
    optimizer: optax.GradientTransformation
    state: TrainState
    epoch_steps: int


def set_up(config: Language, corpus: Corpus, devices: int, share: tuple[int, int] = (0, 1)) -> Setup:
    """The training of a config on this number of devices; `share` is the number of this process and of all."""
    streams = {
        part: text.stream(config.batch_size, config.steps, devices, share) for part, text in corpus.parts.items()
    }
    epoch_steps = len(streams["train"])
    model = config.network(len(corpus.vocabulary))
    init_key, state_key = jax.random.split(jax.random.key(config.seed))
    params = begun_at_frequencies(init_params(model, init_key), corpus.parts["train"].tokens)
    features = features_of(model)
    optimizer = config.transformation(epoch_steps * config.epochs, epoch_steps)
    objective = next_in_stream(
        features,
        config.level,
        activation=config.activation_penalty,
        temporal=config.temporal_penalty,
        samples=config.softmax_samples,
    )
    carry = initial_carry(features, params, streams["train"].filled)
    state = TrainState.create(params, optimizer, state_key, carry, averaged=config.averaging > 0)
    return Setup(streams, objective, optimizer, state, epoch_steps)


def begun_at_frequencies(params: Any, train: np.ndarray) -> Any:
    """The parameters, with the log frequencies of the training tokens (each count plus one) as the bias of the head.

    Otherwise the first updates push all rare words away from the input of the head. Adam moves each of them as far as
    any other word, and with tied weights they all get the same large embedding.
    """
    counts = np.bincount(train, minlength=len(params["head"]["bias"])) + 1
    frequencies = jnp.asarray(np.log(counts / counts.sum()), jnp.float32)
    return {**params, "head": {**params["head"], "bias": frequencies}}


def features_of(model: LanguageModel) -> Any:
    """The features of the model as a function of its parameters and the arguments of the call."""
    return functools.partial(logits_of(model), method="features")
