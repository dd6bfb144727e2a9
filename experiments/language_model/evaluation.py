"""The scores of a trained language model on texts, also of one that adapts to the text while it reads it."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import datasets
import numpy as np

from experiments.language_model.data import Corpus, Part, encoded, read_corpus, read_source
from experiments.language_model.scores import in_words, with_bytes
from experiments.language_model.train import unknown_share
from experiments.language_model.trained import WINDOW, Trained, open_run
from rnnjax.commands import TrainedRun, printable
from rnnjax.data import TextFormat
from rnnjax.fields import check_fields
from rnnjax.runs.report import table
from rnnjax.training import (
    DynamicEvaluation,
    NeuralCache,
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

Rule = Literal["rms", "sgd"]
# Learning rate and decay.
DEFAULTS: Mapping[Rule, tuple[float, float]] = {"rms": (5e-5, 0.002), "sgd": (0.05, 0.0)}
# Rows of the training text whose gradient is squared, as in the authors' program: other options depend on it.
GRADIENT_ROWS = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(TrainedRun, TextFormat):
    """Evaluate the best epoch of a run on its validation and test parts, or on another source.

    With --cache and --dynamic also with a network that adapts to the text that it is scored on, in a table of its own:
    such scores are not comparable with those of other networks. Every token is scored before anything is learnt from
    it. Choose the options of both on validation data only.
    """

    source: str | None = None
    """Another source, as for training, but with nothing held out; default: the source of the run."""
    text_column: str = "text"
    """Name of the column with the texts."""
    batch_size: int | None = None
    """Number of pieces that are read in parallel; default: that of the run. The scores do not depend on it."""
    steps: int | None = None
    """Window length in tokens; default: that of the run. The scores do not depend on it."""
    cache: bool = False
    """Also score with a continuous neural cache (Grave et al. 2017), which expects recent tokens again."""
    cache_size: int = 500
    """Number of last tokens in the cache."""
    cache_theta: float = 0.3
    """Factor of the similarity of features: 0 weights all tokens in the cache equally."""
    cache_lambda: float = 0.1
    """Share of the cache in the mixture with the network."""
    dynamic: bool = False
    """Also score with dynamic evaluation (Krause et al. 2018): a gradient step after each window."""
    dynamic_rule: Rule = "rms"
    """Steps divided by the root mean squared gradients of the training text, or plain gradient descent."""
    dynamic_learning_rate: float | None = None
    """Learning rate of dynamic evaluation; default: 5e-5 for rms, 0.05 for sgd."""
    dynamic_decay: float | None = None
    """Pull back to the trained parameters in each step; default: 0.002 for rms, 0 for sgd."""
    dynamic_epsilon: float = 2e-5
    """What rms adds to the root mean squared gradient before it divides by it."""
    dynamic_window: int = 5
    """Tokens between two gradient steps."""
    dynamic_text: str | None = None
    """Source whose training part gives the mean squared gradients of rms; default: the source of the run."""
    devices: int | None = None
    """Number of devices that share a batch; default: all."""

    def __post_init__(self):
        self.check()
        check_fields(self, at_least_one=("batch_size", "steps", "devices", "cache_size", "dynamic_window"))
        self.neural_cache()
        self.dynamic_evaluation()
        if self.dynamic_text is not None and self.dynamic_rule != "rms":
            raise ValueError(f"dynamic_text: expected rule rms, which needs it, got {self.dynamic_rule}")

    def neural_cache(self) -> NeuralCache:
        """The neural cache. Raises ValueError for values out of range."""
        return NeuralCache(size=self.cache_size, theta=self.cache_theta, lambda_=self.cache_lambda)

    def dynamic_evaluation(self) -> DynamicEvaluation:
        """The steps of dynamic evaluation. Raises ValueError for values out of range."""
        given = self.dynamic_learning_rate, self.dynamic_decay
        rate, decay = (
            default if value is None else value
            for value, default in zip(given, DEFAULTS[self.dynamic_rule], strict=True)
        )
        return DynamicEvaluation(learning_rate=rate, decay=decay, epsilon=self.dynamic_epsilon)


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
