"""The training of a language model."""

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path

import datasets
import jax
import numpy as np

from experiments.language_model.config import PYTHON, Language
from experiments.language_model.data import Corpus, read_corpus
from experiments.language_model.scores import in_words, unigram_loss, with_bytes
from experiments.language_model.setup import set_up
from rnnjax.data import TokenVocabulary
from rnnjax.data.sources import resolved
from rnnjax.runs.folder import VOCABULARY
from rnnjax.runs.report import model_table, table
from rnnjax.runs.session import Session
from rnnjax.training import Objective, Scores, batch_mesh, eval_step, evaluate_stream
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
        setup = set_up(config, corpus, mesh.size, (jax.process_index(), jax.process_count()))
        streams, objective, params = setup.streams, setup.objective, setup.state.params
        step, evaluation = session.train_step(objective, setup.optimizer, mesh), eval_step(objective, mesh)
        evaluate = functools.partial(evaluate_stream, carry=setup.state.carry)
        vocabulary = corpus.vocabulary.to_str(pretty=True)
        session.begin(objective, {"fingerprint": corpus.fingerprint}, {VOCABULARY: vocabulary})
        say(f"\n{model_table(params)}\n")
        say(f"{mesh.size} devices, {setup.epoch_steps:,} steps an epoch; run folder {session.path}\n")
        params = session.train(
            setup.state,
            setup.epoch_steps * config.epochs,
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
