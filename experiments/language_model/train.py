"""The training of a language model."""

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import jax
import jax.numpy as jnp
import numpy as np

from experiments.language_model.config import PYTHON, Language
from experiments.language_model.data import Corpus, read_corpus
from experiments.language_model.scores import in_words, unigram_loss, with_bytes
from rnnjax import LanguageModel
from rnnjax.data import TokenVocabulary
from rnnjax.data.sources import resolved
from rnnjax.models import logits_of
from rnnjax.runs.folder import VOCABULARY
from rnnjax.runs.report import model_table, table
from rnnjax.runs.session import Session
from rnnjax.training import (
    Objective,
    Scores,
    TrainState,
    batch_mesh,
    eval_step,
    evaluate_stream,
    init_params,
    initial_carry,
    next_in_stream,
)
from rnnjax.training.processes import is_first, say

PROGRAM = "experiments.language_model"


def train(
    config: Language, name: str, program: str = PROGRAM, check: Callable[[Corpus], None] = lambda corpus: None
) -> Path:
    """Trains a language model, and returns the path of its run folder.

    The parameters of the epoch with the lowest validation loss are kept. `check` is called with the data before the run
    folder is made, and may raise.
    """
    start = time.perf_counter()
    datasets.disable_progress_bars()
    mesh = batch_mesh(config.execution.devices)
    if config.source not in (None, PYTHON):
        config = dataclasses.replace(config, source=resolved(config.source))
    with Session(program, name, config) as session:
        corpus = read_corpus(config)
        check(corpus)
        say(facts(corpus, config))
        share = jax.process_index(), jax.process_count()
        streams = {
            part: text.stream(config.batch_size, config.steps, mesh.size, share) for part, text in corpus.parts.items()
        }
        epoch_steps = len(streams["train"])
        model = config.network(len(corpus.vocabulary))
        init_key, state_key = jax.random.split(jax.random.key(config.seed))
        params = begun_at_frequencies(init_params(model, init_key), corpus.parts["train"].tokens)
        features = features_of(model)
        carry = initial_carry(features, params, streams["train"].filled)
        optimizer = config.transformation(epoch_steps * config.epochs, epoch_steps)
        objective = next_in_stream(
            features, config.level, activation=config.activation_penalty, temporal=config.temporal_penalty
        )
        step, evaluation = session.train_step(objective, optimizer, mesh), eval_step(objective, mesh)
        evaluate = functools.partial(evaluate_stream, carry=carry)
        vocabulary = corpus.vocabulary.to_str(pretty=True)
        session.begin(objective, {"fingerprint": corpus.fingerprint}, {VOCABULARY: vocabulary})
        say(f"\n{model_table(params)}\n")
        say(f"{mesh.size} devices, {epoch_steps:,} steps an epoch; run folder {session.path}\n")
        params = session.train(
            TrainState.create(params, optimizer, state_key, carry, averaged=config.averaging > 0),
            epoch_steps * config.epochs,
            lambda report, progress: progress.epoch(report),
            step=step,
            evaluation=evaluation,
            train_batches=lambda epoch, first: streams["train"].windows(first),
            validation_batches=lambda: streams["validation"],
            evaluate=evaluate,
        )
        replicated = evaluation.replicate(params)
        scores = {part: evaluate(replicated, evaluation, streams[part]) for part in streams if part != "train"}
        if is_first():
            finish(session, objective, corpus, scores)
            print(f"{time.perf_counter() - start:.1f} s; run folder {session.path}")
    return session.path


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


def facts(corpus: Corpus, config: Language) -> str:
    """A table of the parts of the text."""
    rows = []
    for name, part in corpus.parts.items():
        documents = "" if part.resets is None else f"{part.resets.sum():,}"
        rows.append((name, f"{len(part.tokens):,}", documents, unknown_share(part.tokens, corpus.vocabulary)))
    known = f"{corpus.unique:,} different {config.level}s in training, {len(corpus.vocabulary):,} known"
    return f"{table(('part', f'{config.level}s', 'documents', '<unk>'), rows)}\n{known}"


def unknown_share(tokens: np.ndarray, vocabulary: TokenVocabulary) -> str:
    """The percentage of `<unk>` among the tokens: the more, the easier the text is to predict."""
    return f"{0 if vocabulary.unknown is None else (tokens == vocabulary.unknown).mean():.1%}"


def finish(session: Session, objective: Objective, corpus: Corpus, scores: dict[str, Scores]) -> None:
    """Prints, logs and draws the results of the best epoch."""
    level, train = corpus.vocabulary.level, corpus.parts["train"].tokens
    alone = {part: unigram_loss(train, corpus.parts[part].tokens, len(corpus.vocabulary)) for part in scores}
    facts = {part: {"unigram_loss": loss} for part, loss in alone.items()}
    session.finish(objective, scores, (objective.best, "accuracy"), facts)
    for part, score in scores.items():
        words = [
            with_bytes(in_words(loss, level), loss, corpus.parts[part].tokens, corpus.vocabulary)
            for loss in (score.loss, alone[part])
        ]
        print(f"{part}: {words[0]}; {level} frequencies alone: {words[1]}")
