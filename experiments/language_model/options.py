"""The options of the commands for trained language models: generate, evaluate and surprisal."""

import dataclasses
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from rnnjax.commands.cells import TrainedRun
from rnnjax.data import TextFormat
from rnnjax.fields import check_fields

if TYPE_CHECKING:
    from rnnjax.data import TokenVocabulary
    from rnnjax.sampling import Sampling
    from rnnjax.training import DynamicEvaluation, NeuralCache

Rule = Literal["rms", "sgd"]
# Learning rate and decay.
DEFAULTS: Mapping[Rule, tuple[float, float]] = {"rms": (5e-5, 0.002), "sgd": (0.05, 0.0)}
# The maximum number of tokens of a generated text, and of all hypotheses of a beam search.
LONGEST = 10_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generate(TrainedRun):
    """Generate text with the best epoch of a run."""

    prompt: str = ""
    """The beginning of the text; it starts a line."""
    length: int = 200
    """Number of tokens to generate, at most."""
    stop: tuple[str, ...] = ()
    """Stop after any of these tokens, for example "<eos>", the end of a line of words."""
    temperature: float = 1.0
    """Sampling temperature; 0: always the most probable token."""
    top_k: int | None = None
    """Draw only from this number of most probable tokens."""
    top_p: float | None = None
    """Draw only from the smallest set of tokens with this total probability."""
    repetition_penalty: float = 1.0
    """Make tokens of the text less probable (Keskar et al. 2019): above 0 their logits are divided by this number,
    below 0 multiplied; the paper uses 1.2 with low temperatures."""
    beams: int | None = None
    """Write the most probable text that a beam search with this number of hypotheses finds, instead of sampling."""
    length_penalty: float = 0.0
    """Exponent of the length in the scores of a beam search (Wu et al. 2016): above 0, longer texts are preferred."""
    seed: int = 0
    """Random seed."""

    def __post_init__(self):
        from rnnjax.beam_search import check_search

        check_fields(self, at_least_one=("length",))
        if self.length > LONGEST:
            raise ValueError(f"length: expected at most {LONGEST:,}, got {self.length}")
        self.sampling()
        if self.beams is None:
            if self.length_penalty:
                raise ValueError(
                    f"length_penalty: expected beams to choose from, got {self.length_penalty} without beams"
                )
            return
        check_search(self.beams, self.length, self.length_penalty)
        for name, default in (("temperature", 1.0), ("top_k", None), ("top_p", None), ("seed", 0)):
            if (value := getattr(self, name)) != default:
                raise ValueError(f"{name}: expected none with beams, because nothing is drawn, got {value}")
        if self.beams * self.length > LONGEST:
            raise ValueError(f"beams: expected at most {LONGEST:,} tokens in all, got {self.beams * self.length:,}")

    def sampling(self) -> "Sampling":
        """The sampling distribution. Raises ValueError for values out of range."""
        from rnnjax.sampling import Sampling

        return Sampling(self.temperature, self.top_k, self.top_p, self.repetition_penalty)

    def stops(self, vocabulary: "TokenVocabulary") -> tuple[int, ...]:
        """The indices of the stop tokens. Raises ValueError for one that is not in the vocabulary."""
        from rnnjax.data.byte_pairs import bytes_of

        shown = bytes_of if vocabulary.level == "subword" else str
        known = {shown(token): index for index, token in enumerate(vocabulary.tokens)}
        given = [token.encode() if vocabulary.level == "subword" else token for token in self.stop]
        for name, token in zip(self.stop, given, strict=True):
            if token not in known:
                raise ValueError(f"stop: expected {vocabulary.level}s of the vocabulary, got {reprlib.repr(name)}")
        return tuple(known[token] for token in given)


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

    def neural_cache(self) -> "NeuralCache":
        """The neural cache. Raises ValueError for values out of range."""
        from rnnjax.training import NeuralCache

        return NeuralCache(size=self.cache_size, theta=self.cache_theta, lambda_=self.cache_lambda)

    def dynamic_evaluation(self) -> "DynamicEvaluation":
        """The steps of dynamic evaluation. Raises ValueError for values out of range."""
        from rnnjax.training import DynamicEvaluation

        given = self.dynamic_learning_rate, self.dynamic_decay
        rate, decay = (
            default if value is None else value
            for value, default in zip(given, DEFAULTS[self.dynamic_rule], strict=True)
        )
        return DynamicEvaluation(learning_rate=rate, decay=decay, epsilon=self.dynamic_epsilon)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Surprisal(TrainedRun):
    """Print the surprisal of every token of a text in bits, -log2 p(token | tokens before), with the best epoch.

    A text starts a line, if the vocabulary has line ends; otherwise its first token is read only. Tokens are coloured
    by their surprisal; without colours, it is printed after each token. Use standard input for texts that begin with a
    dash.
    """

    texts: tyro.conf.Positional[tuple[str, ...]] = ()
    """The texts; default: the lines of standard input."""
    figures: Path | None = None
    """A new folder for figures of each text: the surprisals, and the gates and states of all layers."""
