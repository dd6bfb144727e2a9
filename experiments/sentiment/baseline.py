"""The linear classifiers that a network is compared with, on the same texts."""

import numpy as np

from experiments.sentiment.config import TextClassification
from experiments.sentiment.data import Loader, Part, Parts, split_source
from rnnjax.baselines import EXTRA, WeightedNgrams
from rnnjax.class_scores import log_probabilities
from rnnjax.extras import require

# The names of the accuracies in metrics.jsonl, and in words.
LINEAR, BASELINE = "linear_accuracy", "baseline_accuracy"
WORDS = {LINEAR: "the linear model under the network", BASELINE: "baseline, logistic regression on 1- to 3-grams"}


def check_baseline(config: TextClassification) -> None:
    """Raises ModuleNotFoundError if the config asks for the baseline and scikit-learn is not installed."""
    if config.baseline:
        require("sklearn", EXTRA, "baseline")


def linear_accuracies(config: TextClassification, parts: Parts) -> dict[str, dict[str, float]]:
    """The accuracies of linear classifiers on each held-out part, by the name of the part."""
    held_out = {name: part for name in ("validation", "test") if (part := getattr(parts, name)) is not None}
    found: dict[str, dict[str, float]] = {name: {} for name in held_out}
    if parts.linear is not None:
        for name, part in held_out.items():
            found[name][LINEAR] = accuracy(linear_log_odds(config, parts, part), part.labels)
    if config.baseline:
        source = split_source(config)
        fitted = WeightedNgrams().fit(list(source.train.texts), source.train.labels)
        for name, part in held_out.items():
            found[name][BASELINE] = accuracy(fitted.log_odds(list(getattr(source, name).texts)), part.labels)
    return found


def linear_log_odds(config: TextClassification, parts: Parts, part: Part) -> np.ndarray:
    """The log-odds of the linear model under the network: `(N,)` for two classes, else `(N, C)`."""
    loader = Loader(config, parts.train.read, devices=1, linear=parts.linear)
    log_odds, rows = [], []
    for plan in loader.plans(part):
        log_odds.append(loader.batch(part, plan).inputs.log_odds[: len(plan.rows)])
        rows.append(plan.rows)
    return np.concatenate(log_odds)[np.argsort(np.concatenate(rows))]


def accuracy(log_odds: np.ndarray, labels: np.ndarray) -> float:
    """The share of rows whose predicted class is their label."""
    return float(np.mean(log_probabilities(log_odds).argmax(axis=1) == labels))
