"""A language model's training: trains, prints, and leaves a run folder."""

import dataclasses
import functools
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from experiments.language_model.config import PYTHON, Language
from experiments.language_model.data import Corpus, read_corpus
from experiments.language_model.scores import epoch_line, in_words, measured, unigram_loss
from experiments.sentiment.config import init_params, logits_of
from rnnjax import LanguageModel
from rnnjax.analysis import learning_curves
from rnnjax.data import SOURCES, TokenVocabulary
from rnnjax.runs.curves import curves_of
from rnnjax.runs.folder import VOCABULARY
from rnnjax.runs.report import model_table, table
from rnnjax.runs.session import Session
from rnnjax.training import (
    Scores,
    TrainState,
    batch_mesh,
    eval_step,
    evaluate_stream,
    initial_carry,
    next_in_stream,
)
from rnnjax.training.processes import is_first, say

PROGRAM = "experiments.language_model"


def train(config: Language, name: str) -> Path:
    """Trains, prints, and leaves a run folder, whose path it returns: the epoch of the least validation loss."""
    start = time.perf_counter()
    mesh = batch_mesh(config.execution.devices)
    if config.source not in (None, PYTHON, *SOURCES) and Path(str(config.source)).expanduser().exists():
        # A run must be traced to its source from wherever it is read.
        config = dataclasses.replace(config, source=str(Path(str(config.source)).expanduser().resolve()))
    with Session(PROGRAM, name, config) as session:
        corpus = read_corpus(config)
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
        optimizer, objective = (
            config.transformation(epoch_steps * config.epochs, epoch_steps),
            next_in_stream(features, config.level),
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
            lambda report, progress: progress.say(epoch_line(report, config.level)),
            step=step,
            evaluation=evaluation,
            train_batches=lambda epoch, first: streams["train"].windows(first),
            validation_batches=lambda: streams["validation"],
            evaluate=evaluate,
        )
        replicated = evaluation.replicate(params)
        scores = {part: evaluate(replicated, evaluation, streams[part]) for part in streams if part != "train"}
        if is_first():
            finish(session, corpus, scores)
            print(f"{time.perf_counter() - start:.1f} s; run folder {session.path}")
    return session.path


def begun_at_frequencies(params: Any, train: np.ndarray) -> Any:
    """The parameters with a head whose bias is the log of the training tokens' frequencies, each count one higher.

    Else the first updates push all rare words away from what the head reads. Adam moves each of them as far as any
    other, and where the head is the embedding, too, they all become one and the same large input.
    """
    counts = np.bincount(train, minlength=len(params["head"]["bias"])) + 1
    frequencies = jnp.asarray(np.log(counts / counts.sum()), jnp.float32)
    return {**params, "head": {**params["head"], "bias": frequencies}}


def features_of(model: LanguageModel) -> Any:
    """The model's features as a function of its parameters and what it is called with."""
    return functools.partial(logits_of(model), method="features")


def facts(corpus: Corpus, config: Language) -> str:
    """What is known of the text, as lines."""
    rows = []
    for name, part in corpus.parts.items():
        documents = "" if part.resets is None else f"{part.resets.sum():,}"
        rows.append((name, f"{len(part.tokens):,}", documents, unknown_share(part.tokens, corpus.vocabulary)))
    known = f"{corpus.unique:,} different {config.level}s in training, {len(corpus.vocabulary):,} known"
    return f"{table(('part', f'{config.level}s', 'documents', '<unk>'), rows)}\n{known}"


def unknown_share(tokens: np.ndarray, vocabulary: TokenVocabulary) -> str:
    """How many of the tokens are `<unk>`: the more, the easier a text is to predict."""
    return f"{0 if vocabulary.unknown is None else (tokens == vocabulary.unknown).mean():.1%}"


def finish(session: Session, corpus: Corpus, scores: dict[str, Scores]) -> None:
    """What is said, logged and drawn of the best epoch."""
    level, parts = corpus.vocabulary.level, corpus.parts
    print(f"\nbest epoch {session.best_epoch}, chosen by validation loss")
    for part, score in scores.items():
        alone = unigram_loss(parts["train"].tokens, parts[part].tokens, len(corpus.vocabulary))
        print(f"{part}: {in_words(score.loss, level)}; of {level} frequencies alone {in_words(alone, level)}")
        session.log.final(part=part, epoch=session.best_epoch, **score.metrics, unigram_loss=alone)
    draw(session)


def draw(session: Session) -> None:
    """The learning curves, in what the level is measured in."""
    (name,) = measured(0.0, session.config.level)
    of_losses = np.vectorize(lambda loss: measured(loss, session.config.level)[name], otypes=[float])
    curves = [
        curve._replace(name=name.replace("_", " "), shown=of_losses) if curve.name == "loss" else curve
        for curve in curves_of(session.metrics(), ("loss", "accuracy"))
    ]

    def draw_curves() -> Figure:
        figure = learning_curves(curves)
        if session.config.level == "word":
            axes = figure.axes[0]
            axes.set_yscale("log")
            # Perplexities are read as plain numbers.
            axes.yaxis.set_major_formatter(LogFormatter())
            axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
        return figure

    if curves:
        session.log.figure(session.step, "learning_curves", draw_curves)
