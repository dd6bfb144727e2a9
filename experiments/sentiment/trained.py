"""A run folder of a text classifier, read back."""

import hashlib
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from tokenizers import Tokenizer

from experiments.sentiment.config import Ensemble, TextClassification, build_model
from experiments.sentiment.data import Split, digest, split_source
from experiments.sentiment.evidence import FOLDS, LinearModels, load_models
from rnnjax.baselines import FittedNgrams
from rnnjax.data import load_vocabulary
from rnnjax.runs import RunFolder, load_record
from rnnjax.runs.folder import CONFIG, VOCABULARY
from rnnjax.runs.seals import digest as digest_of_seals
from rnnjax.training import param_shapes

FACTS = {"classes": list, "held_out": str, "fingerprint": str}
ENSEMBLE, BASELINE_FILE, MOST_WEIGHT = "sentiment-ensemble", "baseline.json", 1e6
ENSEMBLE_FACTS = {"members": list, "weights": list}
# Limits, since a run folder may be untrusted: each class is printed and has a score.
MOST_CLASSES, LONGEST_NAME = 65_536, 1_000


class Trained(NamedTuple):
    """A trained text classifier."""

    config: TextClassification
    classes: tuple[str, ...]
    held_out: str
    tokenizer: Tokenizer
    model: nn.Module
    params: Any
    linear: LinearModels | None

    def inputs(self, tokens: np.ndarray, lengths: np.ndarray) -> Any:
        """The inputs of the network for tokens `(B, T)`: with their evidence, if the run has linear models."""
        return tokens if self.linear is None else self.linear.inputs(tokens, lengths, np.full(len(tokens), FOLDS))


class TrainedEnsemble(NamedTuple):
    """Trained text classifiers that are averaged; `weights` has one for each run, then one for the baseline, if any."""

    runs: tuple[Trained, ...]
    baseline: FittedNgrams | None
    weights: np.ndarray

    @property
    def classes(self) -> tuple[str, ...]:
        return self.runs[0].classes

    @property
    def held_out(self) -> str:
        return self.runs[0].held_out

    @property
    def config(self) -> TextClassification:
        """The config of the first run; all have the same hold-out."""
        return self.runs[0].config


def held_out_source(trained: Trained | TrainedEnsemble) -> Split:
    """The texts that a run was trained and validated with. Raises ValueError if they have changed."""
    source = split_source(trained.config)
    if digest(source.validation) != trained.held_out:
        raise ValueError(
            f"{trained.config.source}: expected the texts that the run held out, got others: it has changed"
        )
    return source


def open_any(path: Path) -> Trained | TrainedEnsemble:
    """The run or the ensemble of a run folder. Raises as `open_run`."""
    is_ensemble = RunFolder.open(path).config().get("experiment") == ENSEMBLE
    return open_ensemble(path) if is_ensemble else open_run(path)


def open_ensemble(path: Path) -> TrainedEnsemble:
    """The ensemble of a run folder, and the runs that it names. Raises as `open_run`."""
    record = load_record(path, Ensemble, ENSEMBLE_FACTS)
    config, facts, baseline = record.config, record.facts, None
    runs = open_members(config.runs)
    if config.baseline:
        try:
            baseline = FittedNgrams.from_json(record.folder.artifact(BASELINE_FILE), len(runs[0].classes))
        except ValueError as error:
            raise ValueError(f"{path / BASELINE_FILE}: {error}") from error
    names = [*config.runs, *([BASELINE_FILE] if baseline is not None else [])]
    same = dict(zip(names, identities(config.runs, runs, baseline), strict=True))
    if changed := [name for name, made in zip(names, facts["members"], strict=False) if same[name] != made]:
        raise ValueError(f"{path}: expected the members that it was made of, got others: {', '.join(changed)}")
    weights = facts["weights"]
    fit = all(type(weight) in (int, float) and 0 <= weight <= MOST_WEIGHT for weight in weights)
    if not len(weights) == len(facts["members"]) == len(names) or not fit:
        raise ValueError(f"{path / CONFIG}: expected {len(names)} weights of at least 0, got {reprlib.repr(weights)}")
    return TrainedEnsemble(runs, baseline, np.array(weights, float))


def open_members(paths: Sequence[str]) -> tuple[Trained, ...]:
    """The runs of an ensemble. Raises ValueError unless they have the same classes and hold-out."""
    runs = tuple(open_run(Path(path)) for path in paths)
    for path, run in zip(paths, runs, strict=True):
        if (run.classes, run.held_out) != (runs[0].classes, runs[0].held_out):
            raise ValueError(
                f"runs: expected the same classes and hold-out for all (train with the same --data-seed), got others "
                f"for {paths[0]} and {path}"
            )
    return runs


def identities(paths: Sequence[str], runs: Sequence[Trained], baseline: FittedNgrams | None) -> list[str]:
    """A SHA-256 for each run, of its parameters and the seals of its folder, and one of the baseline, if any."""
    found = []
    for path, run in zip(paths, runs, strict=True):
        value = hashlib.sha256(digest_of_seals(RunFolder.open(path).seals()).encode())
        for leaf in jax.tree.leaves(run.params):
            value.update(np.asarray(leaf).tobytes())
        found.append(value.hexdigest())
    return [*found, *([hashlib.sha256(baseline.to_json().encode()).hexdigest()] if baseline is not None else [])]


def open_run(path: Path) -> Trained:
    """The trained model of a run folder.

    Raises FileNotFoundError for a path that is not a run folder, ValueError if its files do not fit together.
    """
    record = load_record(path, TextClassification, FACTS, (VOCABULARY,))
    classes = check_classes(path / CONFIG, record.facts["classes"])
    tokenizer = load_vocabulary(path / VOCABULARY, record.config.tokens, record.config.lowercase)
    linear = None
    if record.config.ngrams:
        sizes = tokenizer.get_vocab_size(), len(classes), record.config.ngrams
        linear = load_models(record.folder, sizes)
    model = build_model(record.config, tokenizer.get_vocab_size(), len(classes))
    params = record.best_params(param_shapes(model))
    return Trained(record.config, classes, record.facts["held_out"], tokenizer, model, params, linear)


def check_classes(file: Path, classes: list[Any]) -> tuple[str, ...]:
    """The class names of a config file. Raises ValueError for other values, duplicates, and too many of them."""
    named = all(isinstance(name, str) for name in classes)
    if not named or len(set(classes)) != len(classes) or len(classes) < 2:
        raise ValueError(f"{file}: expected at least two different classes, got {reprlib.repr(classes)}")
    if len(classes) > MOST_CLASSES or max(map(len, classes)) > LONGEST_NAME:
        raise ValueError(
            f"{file}: expected at most {MOST_CLASSES:,} classes of at most {LONGEST_NAME:,} characters, "
            f"got {len(classes):,} of up to {max(map(len, classes)):,}"
        )
    return tuple(classes)
