"""The command `ensemble`: several runs, averaged with weights that their common hold-out chose."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np
from scipy.optimize import minimize

from experiments.sentiment.config import Ensemble
from experiments.sentiment.evaluation import score_tables
from experiments.sentiment.predictions import averaged, logs_over
from experiments.sentiment.trained import (
    BASELINE_FILE,
    ENSEMBLE,
    MOST_WEIGHT,
    held_out_source,
    identities,
    open_members,
)
from rnnjax.baselines import EXTRA, WeightedNgrams
from rnnjax.class_scores import class_scores, log_probabilities
from rnnjax.extras import require
from rnnjax.runs import LiveRun
from rnnjax.runs.report import table
from rnnjax.training import batch_mesh, use_cpu_cores
from rnnjax.training.cross_validation import deal


def ensemble(options: Ensemble, program: str = "experiments.sentiment") -> Path:
    """Averages runs; prints the scores of each and of all on their hold-out, and returns the path of the folder."""
    use_cpu_cores(options.execution.devices)
    datasets.disable_progress_bars()
    if options.baseline:
        require("sklearn", EXTRA, "baseline")
    paths = [str(Path(path).expanduser().resolve()) for path in options.runs]
    options = dataclasses.replace(options, runs=tuple(paths))
    with LiveRun(program, ENSEMBLE, options) as session:
        runs = open_members(paths)
        source = held_out_source(runs[0])
        texts, labels = list(source.validation.texts), np.asarray(source.validation.labels)
        mesh, names = batch_mesh(options.execution.devices), [Path(path).name for path in paths]
        logs, baseline = [logs_over(run, texts, mesh) for run in runs], None
        if options.baseline:
            baseline = WeightedNgrams().fit(list(source.train.texts), source.train.labels)
            logs.append(log_probabilities(baseline.log_odds(texts)))
            names.append("baseline")
        members = np.stack(logs)
        weights = np.full(len(members), 1 / len(members)) if options.equal else chosen_weights(members, labels)
        facts = {"members": identities(paths, runs, baseline), "weights": weights.tolist()}
        session.begin(None, facts, {} if baseline is None else {BASELINE_FILE: baseline.to_json()})

        print(f"{len(labels):,} held-out rows\n{member_table(names, weights, members, labels)}")
        together = averaged(members, weights)
        print(f"\nthe ensemble\n{score_tables(together, labels, runs[0].classes)}")
        further = {}
        if not options.equal:
            fair = two_fold_accuracy(members, labels, runs[0].config.seed_of_data)
            further = {"two_fold_accuracy": fair}
            print(f"accuracy on one half of these rows, with the weights that the other half chose: {fair:.4f}")
        session.log.final(part="validation", **class_scores(together, labels), **further, highest=True)
        print(f"run folder {session.path}")
    return session.path


def member_table(names: Sequence[str], weights: np.ndarray, members: np.ndarray, labels: np.ndarray) -> str:
    """The weight, accuracy and loss of each member, and of all of them with equal weights."""
    scored = [
        *zip(names, map("{:.3f}".format, weights), members, strict=True),
        ("all, equal", "", members.mean(axis=0)),
    ]
    rows = []
    for name, weight, logs in scored:
        scores = class_scores(log_probabilities(logs), labels)
        rows.append((name, weight, f"{scores['accuracy']:.4f}", f"{scores['loss']:.4f}"))
    return table(("member", "weight", "accuracy", "loss"), rows)


def chosen_weights(members: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The weights of at least 0 with the lowest loss of the ensemble, for log-probabilities `(M, N, C)`.

    The loss is convex in the weights. Their sum is not fixed, so they also calibrate the ensemble.
    """
    rows = np.arange(len(labels))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logs = averaged(members, weights)
        # The gradient of a softmax's loss: expected minus actual log-probabilities.
        expected = (np.exp(logs) * members).sum(axis=2).mean(axis=1)
        return float(-logs[rows, labels].mean()), expected - members[:, rows, labels].mean(axis=1)

    start = np.full(len(members), 1 / len(members))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, MOST_WEIGHT)] * len(members))
    return found.x


def two_fold_accuracy(members: np.ndarray, labels: np.ndarray, seed: int) -> float:
    """The accuracy on each half of the rows, with the weights that the other half chose."""
    half = deal(labels, 2, seed)
    right = 0
    for chooses in (0, 1):
        own, other = half == chooses, half != chooses
        weights = chosen_weights(members[:, own], labels[own])
        right += np.count_nonzero(averaged(members[:, other], weights).argmax(axis=1) == labels[other])
    return right / len(labels)
