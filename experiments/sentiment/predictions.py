"""Class probabilities of texts, by a run or an ensemble."""

import functools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh

from experiments.sentiment.data import Loader, read_part, without_known
from experiments.sentiment.trained import Trained, TrainedEnsemble
from rnnjax.analysis import verdict_trace
from rnnjax.class_scores import log_probabilities
from rnnjax.data import LabelledTexts, encode
from rnnjax.models import logits_of
from rnnjax.training.devices import over_rows


def logs_over(trained: Trained | TrainedEnsemble, texts: Sequence[str], mesh: Mesh) -> np.ndarray:
    """The log-probabilities `(N, C)` of the texts; the rows of a batch are split over the mesh.

    A text without known words is scored too.
    """
    if isinstance(trained, TrainedEnsemble):
        logs = [logs_over(run, texts, mesh) for run in trained.runs]
        if trained.baseline is not None:
            logs.append(log_probabilities(trained.baseline.log_odds(texts)))
        return averaged(np.stack(logs), trained.weights)
    part = read_part(trained.tokenizer, LabelledTexts(texts, [0] * len(texts)), trained.config)
    loader = Loader(trained.config, part.read, mesh.size, linear=trained.linear)
    apply = logits_of(trained.model)
    score = over_rows(lambda params, batch: apply(params, batch.inputs, batch.lengths), trained.params, mesh)
    classes = len(trained.classes)
    logits = np.zeros((len(texts), *(() if classes == 2 else (classes,))), np.float32)
    for plan in loader.plans(part):
        logits[plan.rows] = score(loader.batch(part, plan))[: len(plan.rows)]
    return log_probabilities(logits)


def without_known_words(trained: Trained | TrainedEnsemble, texts: Sequence[str]) -> np.ndarray:
    """The numbers of the texts of which the run, or every run of the ensemble, knows no word."""
    runs = trained.runs if isinstance(trained, TrainedEnsemble) else (trained,)
    return functools.reduce(np.intersect1d, (without_known(encode(run.tokenizer, texts)) for run in runs))


def averaged(logs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The log-probabilities `(N, C)` of a weighted sum of log-probabilities `(M, N, C)`.

    For two classes, the log-odds are the weighted sum of the log-odds.
    """
    return log_probabilities(np.tensordot(weights, logs, 1))


def prefix_logs(trained: Trained | TrainedEnsemble, text: str) -> tuple[list[tuple[int, int]], np.ndarray]:
    """The places of the words of a text, and the log-probabilities `(T, C)` after each of them.

    The text has no HTML entities (`unescaped`). The runs of an ensemble must have the same words.
    """
    if isinstance(trained, TrainedEnsemble):
        traces = [prefix_logs(run, text) for run in trained.runs]
        spans, logs = traces[0][0], [own for _, own in traces]
        if trained.baseline is not None:
            logs.append(log_probabilities(trained.baseline.log_odds([text[:end] for _, end in spans])))
        return spans, averaged(np.stack(logs), trained.weights)
    config, encoding = trained.config, trained.tokenizer.encode(text)

    def logits(tokens: np.ndarray, lengths: np.ndarray) -> jax.Array:
        return compiled_logits(trained.model, trained.params, trained.inputs(tokens, lengths), lengths)

    verdicts = verdict_trace(
        logits, np.asarray(encoding.ids, np.int32), longest=config.longest, cut=config.cut, pad=config.pad
    )
    # A probability that is 0 in float32 has no logarithm.
    return list(encoding.offsets), np.log(np.maximum(verdicts, np.finfo(np.float32).tiny, dtype=np.float64))


@functools.partial(jax.jit, static_argnums=0)
def compiled_logits(model: nn.Module, params: Any, inputs: Any, lengths: jax.Array) -> jax.Array:
    """The logits, by one compiled function for all texts, so that each shape is compiled only once."""
    return logits_of(model)(params, inputs, lengths)
