"""Several seeds of a text classifier, trained in parallel."""

import functools
from collections.abc import Sequence

from experiments.sentiment.config import TextClassification, build_model
from experiments.sentiment.data import Loader, Parts, class_weights
from rnnjax.models import logits_of
from rnnjax.training import classification, first_state
from rnnjax.training.seeds import SeedTraining


def seed_training(config: TextClassification, parts: Parts, seeds: Sequence[int]) -> SeedTraining:
    """The training of these seeds.

    Raises ValueError for no seed, and for a config without `data_seed`: the seeds must share their data.
    """
    if config.data_seed is None:
        raise ValueError("data_seed: expected one that all seeds share, got none")
    loader = Loader(config, parts.train.read, devices=1, linear=parts.linear)
    epoch_steps = len(loader.plans(parts.train))
    model = build_model(config, parts.tokenizer.get_vocab_size(), len(parts.classes))
    optimizer = config.transformation(epoch_steps * config.epochs, epoch_steps)
    return SeedTraining(
        classification(logits_of(model), len(parts.classes), class_weights(config, parts)),
        optimizer,
        functools.partial(first_state, model, optimizer, averaged=config.averaging > 0),
        lambda seed, epoch: loader.batches(parts.train, seed, epoch),
        lambda: loader.batches(parts.validation),
        seeds,
        epochs=config.epochs,
        epoch_steps=epoch_steps,
        clip=config.clip,
        averaging=config.averaging,
        skip=config.skip,
    )


def seconds_of(config: TextClassification, parts: Parts, seeds: Sequence[int]) -> float:
    """The estimated seconds of all steps, from one measured step of the most frequent batch width."""
    loader = Loader(config, parts.train.read, devices=1, linear=parts.linear)
    plans = loader.plans(parts.train, seeds[0])
    widths = [plan.width for plan in plans]
    usual = max(set(widths), key=widths.count)
    batch = loader.batch(parts.train, plans[widths.index(usual)])
    return seed_training(config, parts, seeds).step_seconds(batch) * config.epochs * sum(widths) / usual
