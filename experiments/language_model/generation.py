"""Text generation with a trained language model, printed token by token."""

import dataclasses
import signal
import sys
from collections.abc import Callable

import jax
import numpy as np

from experiments.language_model.config import Language
from experiments.language_model.data import tokens_of
from experiments.language_model.trained import Trained, open_run
from rnnjax.commands import TrainedRun, printable
from rnnjax.data import TokenVocabulary
from rnnjax.data.tokens import LINE_END, UNKNOWN
from rnnjax.fields import check_fields
from rnnjax.sampling import Sampling, read, sample

LONGEST = 10_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generate(TrainedRun):
    """Generate text with the best epoch of a run."""

    prompt: str = ""
    """The beginning of the text; it starts a line."""
    length: int = 200
    """Number of tokens to generate."""
    temperature: float = 1.0
    """Sampling temperature; 0: always the most probable token."""
    top_k: int | None = None
    """Draw only from this number of most probable tokens."""
    top_p: float | None = None
    """Draw only from the smallest set of tokens with this total probability."""
    seed: int = 0
    """Random seed."""

    def __post_init__(self):
        check_fields(self, at_least_one=("length",))
        if self.length > LONGEST:
            raise ValueError(f"length: expected at most {LONGEST:,}, got {self.length}")
        self.sampling()

    def sampling(self) -> Sampling:
        """The sampling distribution. Raises ValueError for values out of range."""
        return Sampling(self.temperature, self.top_k, self.top_p)


def prompt_tokens(config: Language, vocabulary: TokenVocabulary, prompt: str) -> np.ndarray:
    """The tokens of the prompt, after the end of a line. Raises ValueError for none, and as the vocabulary."""
    tokens = tokens_of(prompt, config)
    if config.level == "word" and not config.plain and tokens and not prompt.endswith("\n"):
        tokens.pop()  # the text continues the last line of the prompt
    before = [] if vocabulary.line_end is None else [vocabulary.line_end]
    found = np.append(np.array(before, np.int32), vocabulary.encode(tokens, "prompt"))
    if not len(found):
        raise ValueError(
            "prompt: expected some text, because the training text has no line end that a text could begin after"
        )
    return found


def unknown_words(trained: Trained, prompt: str) -> list[str]:
    """The tokens of the prompt that become `<unk>`."""
    vocabulary = trained.vocabulary
    if vocabulary.unknown is None:
        return []
    known = {*vocabulary.tokens, LINE_END[vocabulary.level]}
    return [printable(token) for token in dict.fromkeys(tokens_of(prompt, trained.config)) if token not in known]


class Writer:
    """Prints tokens one at a time."""

    def __init__(self, vocabulary: TokenVocabulary, write: Callable[[str], None]):
        self._vocabulary, self._write = vocabulary, write
        self._at_start = True
        self.broken: BrokenPipeError | None = None

    def __call__(self, token: int) -> None:
        """Prints a token; nothing once the output is closed, because a loop on a device cannot be stopped."""
        if self.broken is not None:
            return
        try:
            self._write(self._text(int(token)))
        except BrokenPipeError as error:
            self.broken = error

    def _text(self, token: int) -> str:
        if token == self._vocabulary.line_end:
            self._at_start = True
            return "\n"
        text = printable(self._vocabulary.tokens[token])
        if self._vocabulary.level == "word" and not self._at_start:
            text = f" {text}"
        self._at_start = False
        return text


def generate(options: Generate) -> None:
    """The command `generate`."""
    trained = open_run(options.run)
    if unknown := unknown_words(trained, options.prompt):
        print(f"{UNKNOWN} replaces unknown tokens of the prompt: {', '.join(unknown)}", file=sys.stderr)
    write_text(trained, options, lambda text: print(text, end="", flush=True))


def write_text(trained: Trained, options: Generate, write: Callable[[str], None]) -> None:
    """Writes the prompt and the generated text, token by token.

    Raises ValueError as `prompt_tokens`, BrokenPipeError if the output is closed.
    """
    prompt = prompt_tokens(trained.config, trained.vocabulary, options.prompt)
    writer = Writer(trained.vocabulary, write)
    for token in prompt if trained.vocabulary.line_end is None else prompt[1:]:
        writer(token)
    begun = read(trained.model, trained.params, prompt[None])
    # A loop on a device cannot be stopped: Ctrl-C ends the process.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        drawn = sample(
            trained.model,
            trained.params,
            begun,
            jax.random.key(options.seed),
            options.length,
            options.sampling(),
            lambda tokens: writer(tokens[0]),
        )
        jax.block_until_ready(drawn)
        jax.effects_barrier()
    finally:
        signal.signal(signal.SIGINT, before)
    if writer.broken is not None:
        raise writer.broken
    write("\n")
