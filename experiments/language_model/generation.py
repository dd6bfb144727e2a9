"""Text from a trained language model, on the terminal while it is made."""

import dataclasses
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import tyro

from experiments.language_model.trained import Trained, open_run
from rnnjax.commands import printable
from rnnjax.data import TokenVocabulary, split_text
from rnnjax.data.tokens import LINE_END, UNKNOWN
from rnnjax.fields import check_fields
from rnnjax.sampling import Sampling, read, sample

LONGEST = 10_000_000


@dataclasses.dataclass(frozen=True)
class Generate:
    """Let a run's best epoch write text."""

    run: tyro.conf.Positional[Path]
    """The run folder."""
    prompt: str = ""
    """What the text begins with, a line's start."""
    length: int = 200
    """Tokens to write."""
    temperature: float = 1.0
    """Below 1 the probable becomes more probable; 0 takes the most probable token each time."""
    top_k: int | None = None
    """Draw from so many most probable tokens only."""
    top_p: float | None = None
    """Draw from the fewest most probable tokens only that have this share together."""
    seed: int = 0
    """Seeds what is drawn."""
    cell: str | None = None
    """The cell of a run with a cell of your own, as module:Name."""

    def __post_init__(self):
        check_fields(self, at_least_one=("length",))
        if self.length > LONGEST:
            raise ValueError(f"length: expected at most {LONGEST:,}, got {self.length}")
        self.sampling()

    def sampling(self) -> Sampling:
        """How a token is drawn. Raises ValueError for values out of range."""
        return Sampling(self.temperature, self.top_k, self.top_p)


def prompt_tokens(vocabulary: TokenVocabulary, prompt: str) -> np.ndarray:
    """The prompt after the end of a line. Raises ValueError where there is nothing to read or a token is not known."""
    tokens = split_text(prompt, vocabulary.level)
    if vocabulary.level == "word" and tokens and not prompt.endswith("\n"):
        tokens.pop()  # the prompt's last line goes on
    before = [] if vocabulary.line_end is None else [vocabulary.line_end]
    found = np.append(np.array(before, np.int32), vocabulary.encode(tokens, "prompt"))
    if not len(found):
        raise ValueError(
            "prompt: expected some text, since the text that was learnt from has no line's end to begin after"
        )
    return found


def unknown_words(vocabulary: TokenVocabulary, prompt: str) -> list[str]:
    """Tokens of the prompt that are read as `<unk>`."""
    if vocabulary.unknown is None:
        return []
    known = {*vocabulary.tokens, LINE_END[vocabulary.level]}
    return [printable(token) for token in dict.fromkeys(split_text(prompt, vocabulary.level)) if token not in known]


class Writer:
    """Prints tokens as they come."""

    def __init__(self, vocabulary: TokenVocabulary, write: Callable[[str], None]):
        self._vocabulary, self._write = vocabulary, write
        self._at_start = True
        self.broken: BrokenPipeError | None = None

    def __call__(self, token: int) -> None:
        """One token more; none once nobody reads the output, which a loop on a device cannot be told."""
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
    if unknown := unknown_words(trained.vocabulary, options.prompt):
        print(f"{UNKNOWN} stands for what is not known of the prompt: {', '.join(unknown)}", file=sys.stderr)
    write_text(trained, options, lambda text: print(text, end="", flush=True))


def write_text(trained: Trained, options: Generate, write: Callable[[str], None]) -> None:
    """The prompt, and the text that follows it, piece by piece.

    Raises ValueError for a prompt that cannot be read, BrokenPipeError where nobody reads on.
    """
    prompt = prompt_tokens(trained.vocabulary, options.prompt)
    writer = Writer(trained.vocabulary, write)
    for token in prompt if trained.vocabulary.line_end is None else prompt[1:]:
        writer(token)
    begun = read(trained.model, trained.params, prompt[None])
    # A loop on a device cannot be asked to stop: Ctrl-C ends the process.
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
