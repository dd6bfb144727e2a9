"""The scores of a trained language model on texts, also of one that adapts to the text while it reads it."""

from collections.abc import Mapping
from typing import Any

import datasets
import numpy as np

from experiments.language_model.data import Corpus, Part, encoded, read_corpus, read_source
from experiments.language_model.options import Evaluate as Evaluate
from experiments.language_model.scores import in_words, with_bytes
from experiments.language_model.train import unknown_share
from experiments.language_model.trained import WINDOW, Trained, open_run
from rnnjax.commands import printable
from rnnjax.data import TextFormat
from rnnjax.runs.report import table
from rnnjax.training import (
    batch_mesh,
    cached_losses,
    dynamic_losses,
    eval_step,
    evaluate_stream,
    initial_carry,
    next_in_stream,
    root_mean_squares,
    use_cpu_cores,
)

# Rows of the training text whose gradient is squared, as in the authors' program: other options depend on it.
GRADIENT_ROWS = 100


def evaluate(options: Evaluate) -> None:
    """The command `evaluate`."""
    use_cpu_cores(options.devices)
    datasets.disable_progress_bars()
    trained = open_run(options.run)
    config, vocabulary = trained.config, trained.vocabulary
    if options.source is None:
        parts = {name: part for name, part in own_corpus(trained).parts.items() if name != "train"}
    else:
        parts = parts_of(trained, options.source, options.text_column, options)
    mesh, features = batch_mesh(options.devices), trained.features
    step = eval_step(next_in_stream(features), mesh)
    params = step.replicate(trained.params)
    rows, losses = [], {}
    for name, part in parts.items():
        stream = part.stream(options.batch_size or config.batch_size, options.steps or config.steps, mesh.size)
        score = evaluate_stream(params, step, stream, carry=initial_carry(features, trained.params, stream.filled))
        # A text without parts is read as a training part.
        shown = "text" if len(parts) == 1 and name == "train" else name
        losses[shown] = part, score.loss
        rows.append(
            (
                shown,
                f"{len(part.tokens):,}",
                unknown_share(part.tokens, vocabulary),
                with_bytes(in_words(score.loss, config.level), score.loss, part.tokens, vocabulary),
                f"{score.loss:.4f}",
                f"{score['accuracy']:.4f}",
            )
        )
    print(printable(str(options.source or config.source)))
    print(table(("part", f"{config.level}s", "<unk>", "score", "loss", "accuracy"), rows))
    if options.cache or options.dynamic:
        print("\nadapted to the text while it is scored; not comparable with the scores of networks that do not adapt")
        headers = ("part", "adapted by", "score without", "score", "loss")
        print(table(headers, adapted_rows(trained, options, losses), words=("adapted by",)))


def own_corpus(trained: Trained) -> Corpus:
    """The text that the run was trained on. Raises ValueError if it has changed, and as `read_corpus`."""
    corpus = read_corpus(trained.config)
    if corpus.fingerprint != trained.fingerprint:
        raise ValueError(f"{trained.config.source}: expected the text of the run, got another: it has changed")
    return corpus


def parts_of(trained: Trained, source: str, text_column: str, given: TextFormat) -> dict[str, Part]:
    """The parts of another source in the vocabulary of the run. Raises as `read_source` and `encoded`."""
    return {
        name: encoded(text, trained.vocabulary, trained.config.documents, f"{source} ({name})")
        for name, text in read_source(source, text_column, trained.config, given).items()
    }


def adapted_rows(trained: Trained, options: Evaluate, plain: Mapping[str, tuple[Part, float]]) -> list[tuple[str, ...]]:
    """The rows of the table of adapted scores; `plain` are the parts, each with its loss without adaptation."""
    config, features, params = trained.config, trained.features, trained.params
    found: list[tuple[str, str, float, np.ndarray]] = []
    if options.cache:
        cache = options.neural_cache()
        words = f"cache: size {cache.size}, theta {cache.theta:g}, lambda {cache.lambda_:g}"
        for name, (part, loss) in plain.items():
            losses = cached_losses(features, params, part.stream(1, WINDOW), cache)
            found.append((name, words, loss, losses))
    if options.dynamic:
        dynamic, window = options.dynamic_evaluation(), options.dynamic_window
        words = f"dynamic, {options.dynamic_rule}: learning rate {dynamic.learning_rate:g}, decay {dynamic.decay:g}, "
        words += f"epsilon {dynamic.epsilon:g}, " if options.dynamic_rule == "rms" else ""
        words += f"window {window}"
        rms = training_gradients(trained, options) if options.dynamic_rule == "rms" else None
        for name, (part, loss) in plain.items():
            losses = dynamic_losses(features, params, part.stream(1, window), dynamic, rms)
            found.append((name, words, loss, losses))
    return [
        (name, words, in_words(loss, config.level), in_words(mean, config.level), f"{mean:.4f}")
        for name, words, loss, losses in found
        for mean in [float(losses.mean(dtype=np.float64))]
    ]


def training_gradients(trained: Trained, options: Evaluate) -> Any:
    """The root mean squared gradients of the training text, or of another one."""
    if options.dynamic_text is None:
        train = own_corpus(trained).parts["train"]
    else:
        train = parts_of(trained, options.dynamic_text, options.text_column, options)["train"]
    stream = train.stream(GRADIENT_ROWS, options.dynamic_window)
    return root_mean_squares(trained.features, trained.params, stream)
