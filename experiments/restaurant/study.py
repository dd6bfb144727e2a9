"""The study: cross-validates all models, prints and draws."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import datasets
import numpy as np
from tqdm import tqdm

from experiments.restaurant.bag_of_words import EXTRA, bag_of_words, installed
from experiments.restaurant.networks import entrants, read
from experiments.restaurant.options import Restaurant
from rnnjax.analysis import fold_accuracies
from rnnjax.commands import printable
from rnnjax.data import LabelledTexts, learn_vocabulary, load_source
from rnnjax.extras import missing
from rnnjax.runs import LiveRun
from rnnjax.tables import table
from rnnjax.training.cross_validation import Fold, cross_validate, inner_folds, stratified_folds

PROGRAM = "experiments.restaurant"
COMMON_WORDS = 15


class Outcome(NamedTuple):
    """The errors of a model on the test rows of each fold: 1 is a false positive, -1 a false negative, 0 is correct."""

    name: str
    errors: list[np.ndarray]
    seconds: float

    @property
    def accuracies(self) -> np.ndarray:
        return np.array([np.mean(errors == 0) for errors in self.errors])


def outcome(
    name: str, logits: Sequence[np.ndarray], labels: np.ndarray, folds: Sequence[Fold], start: float
) -> Outcome:
    """The outcome of a model, from its logits on the test rows of each fold."""
    errors = [
        (row[: len(fold.test)] > 0).astype(int) - labels[fold.test] for row, fold in zip(logits, folds, strict=True)
    ]
    return Outcome(name, errors, time.perf_counter() - start)


def compete(texts: LabelledTexts, folds: Sequence[Fold], options: Restaurant) -> list[Outcome]:
    """The outcome of each model. The bag of words is the last one, if scikit-learn is installed."""
    labels, outcomes = np.asarray(texts.labels), []
    for entrant in entrants(options):
        start = time.perf_counter()
        data = read(texts, folds, entrant)
        with tqdm(total=entrant.epochs, desc=entrant.name, unit="epoch", disable=None) as bar:

            def watch(loss: float, bar: tqdm = bar) -> None:
                bar.set_postfix_str(f"training loss {loss:.3f}", refresh=False)
                bar.update()

            logits = cross_validate(
                entrant.model(data.vocabulary),
                entrant.optimizer,
                data.train,
                data.test,
                epochs=entrant.epochs,
                batch_size=options.batch_size,
                seed=options.seed,
                watch=watch,
            )
        outcomes.append(outcome(entrant.name, list(logits), labels, folds, start))
    if installed():
        start = time.perf_counter()
        outcomes.append(outcome("bag of words", bag_of_words(texts.texts, labels, folds), labels, folds, start))
    return outcomes


def score_table(outcomes: Sequence[Outcome]) -> str:
    """The accuracy and the kinds of errors of each model."""
    rows = []
    for result in outcomes:
        errors, accuracies = np.concatenate(result.errors), result.accuracies
        rows.append(
            (
                result.name,
                f"{accuracies.mean():.3f}",
                f"{accuracies.std(ddof=1):.3f}",
                f"{accuracies.min():.2f} to {accuracies.max():.2f}",
                f"{np.mean(errors > 0):.3f}",
                f"{np.mean(errors < 0):.3f}",
                f"{np.mean(errors):+.3f}",
                f"{result.seconds:.1f}",
            )
        )
    headers = ("model", "accuracy", "sd", "folds", "wrong +", "wrong -", "signed", "seconds")
    return table(headers, rows)


def verdict(network: Outcome, bag: Outcome) -> str:
    """A sentence that says which of the two is better on the same folds."""
    gain = network.accuracies - bag.accuracies
    better, worse = int(np.sum(gain > 0)), int(np.sum(gain < 0))
    if abs(gain.mean()) < 1e-9:
        words = f"The {network.name} and the bag of words tie"
    elif gain.mean() > 0:
        words = f"The {network.name} beats the bag of words"
    else:
        words = f"The bag of words beats the {network.name}"
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    return (
        f"{words}: {gain.mean():+.3f} accuracy for the network (standard error over folds {error:.3f}; "
        f"better in {better} of {len(gain)} folds, worse in {worse})"
    )


def compare(options: Restaurant) -> Path:
    """Reads the sentences, tests all models, prints and draws. Returns the path of the run folder."""
    datasets.disable_progress_bars()
    with LiveRun(PROGRAM, "restaurant", options) as session:
        if not Path(options.source).expanduser().is_file():
            raise FileNotFoundError(f"source: expected a file, got {options.source}")
        source = load_source(options.source, options.text_column, options.label_column, given=options)
        texts, classes = source.train, source.classes
        if len(classes) != 2:
            raise ValueError(f"{options.source}: expected two classes, got {len(classes)}: {', '.join(classes)}")
        labels = np.asarray(texts.labels)
        folds = stratified_folds(labels, options.folds, options.seed)
        if options.choose:
            folds = inner_folds(labels, folds, options.seed)
        try:
            learn_vocabulary(texts.texts)  # before the run folder is made
        except ValueError as error:
            raise ValueError(f"{options.source}: {error}") from error
        words = Counter(word for text in texts.texts for word in text.split())
        facts = f"{len(labels):,} sentences, {labels.mean():.1%} of class {classes[1]!r}"
        print(f"{facts}; {len(words):,} different raw words")
        common = ", ".join(f"{word} {count}" for word, count in words.most_common(COMMON_WORDS))
        print(f"the {COMMON_WORDS} most frequent: {printable(common)}")

        session.begin()
        outcomes = compete(texts, folds, options)
        for result in outcomes:
            session.log.line("outcome", {"model": result.name, "accuracies": result.accuracies.tolist()})
        network = [result for result in outcomes if result.name != "bag of words"][-1]
        session.score("accuracy", network.accuracies.mean(), highest=True)
        names, accuracies = [result.name for result in outcomes], [result.accuracies for result in outcomes]
        session.log.figure(0, "fold_accuracies", lambda: fold_accuracies(names, accuracies))

        tested = "a part of the training rows of each fold" if options.choose else "the test rows of each fold"
        print(f"\n{options.folds} stratified folds, tested on {tested}\n{score_table(outcomes)}")
        print("wrong +, wrong -: shares of sentences wrongly called positive, negative; signed: their difference")
        *networks, last = outcomes
        if last.name == "bag of words":
            print("\n".join(verdict(network, last) for network in networks))
        else:
            print(missing("sklearn", EXTRA, "bag of words"))
        print(f"run folder {session.path}")
    return session.path
