"""Text generation with a trained language model: sampled and printed token by token, or the result of a beam search."""

import codecs
import dataclasses
import reprlib
import signal
import sys
from collections.abc import Callable

import jax
import numpy as np

from experiments.language_model.config import Language
from experiments.language_model.data import Text, known_lines, tokens_of
from experiments.language_model.trained import Trained, open_run
from rnnjax.beam_search import check_search
from rnnjax.commands import TrainedRun, printable
from rnnjax.data import TokenVocabulary
from rnnjax.data.byte_pairs import bytes_of
from rnnjax.data.tokens import LINE_END, UNKNOWN
from rnnjax.fields import check_fields
from rnnjax.sampling import Begun, Sampling, read, sample, search
from rnnjax.training.capacity import check_capacity

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

    def sampling(self) -> Sampling:
        """The sampling distribution. Raises ValueError for values out of range."""
        return Sampling(self.temperature, self.top_k, self.top_p, self.repetition_penalty)

    def stops(self, vocabulary: TokenVocabulary) -> tuple[int, ...]:
        """The indices of the stop tokens. Raises ValueError for one that is not in the vocabulary."""
        shown = bytes_of if vocabulary.level == "subword" else str
        known = {shown(token): index for index, token in enumerate(vocabulary.tokens)}
        given = [token.encode() if vocabulary.level == "subword" else token for token in self.stop]
        for name, token in zip(self.stop, given, strict=True):
            if token not in known:
                raise ValueError(f"stop: expected {vocabulary.level}s of the vocabulary, got {reprlib.repr(name)}")
        return tuple(known[token] for token in given)


def prompt_tokens(config: Language, vocabulary: TokenVocabulary, prompt: str) -> np.ndarray:
    """The tokens of the prompt, after the end of a line. Raises ValueError for none, and as the vocabulary."""
    tokens = tokens_of(prompt, config)
    if config.level == "word" and not config.plain and tokens and not prompt.endswith("\n"):
        tokens.pop()  # the text continues the last line of the prompt
    before = [] if vocabulary.line_end is None else [vocabulary.line_end]
    tokens = known_lines(Text(tokens), vocabulary).tokens
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
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.broken: BrokenPipeError | None = None

    def end(self) -> None:
        """Ends the text, with the end of a line."""
        self._write(f"{self._rest()}\n")

    def __call__(self, token: int) -> None:
        """Prints a token; nothing once the output is closed, because a loop on a device cannot be stopped."""
        if self.broken is not None:
            return
        try:
            self._write(self._text(int(token)))
        except BrokenPipeError as error:
            self.broken = error

    def _rest(self) -> str:
        """What is left of a letter that the tokens did not complete."""
        return printable(self._decoder.decode(b"", final=True))

    def _text(self, token: int) -> str:
        if token == self._vocabulary.line_end:
            self._at_start = True
            return f"{self._rest()}\n"
        if self._vocabulary.level == "subword":  # a letter may be made of several
            return printable(self._decoder.decode(bytes_of(self._vocabulary.tokens[token])))
        text = printable(self._vocabulary.tokens[token])
        if self._vocabulary.level == "word" and not self._at_start:
            text = f" {text}"
        self._at_start = False
        return text


def warn_of_unknown(trained: Trained, text: str, name: str) -> None:
    """Says on standard error which tokens of a text become `<unk>`."""
    if unknown := unknown_words(trained, text):
        print(f"{UNKNOWN} replaces unknown tokens of {name}: {', '.join(unknown)}", file=sys.stderr)


def generate(options: Generate) -> None:
    """The command `generate`."""
    trained = open_run(options.run)
    warn_of_unknown(trained, options.prompt, "the prompt")
    write_text(trained, options, lambda text: print(text, end="", flush=True))


def write_text(trained: Trained, options: Generate, write: Callable[[str], None]) -> None:
    """Writes the prompt and the generated text, token by token.

    Raises ValueError as `prompt_tokens` and for an unknown stop token, BrokenPipeError if the output is closed.
    """
    prompt, stop = prompt_tokens(trained.config, trained.vocabulary, options.prompt), options.stops(trained.vocabulary)
    writer = Writer(trained.vocabulary, write)
    for token in prompt if trained.vocabulary.line_end is None else prompt[1:]:
        writer(token)
    begun = read(trained.model, trained.params, prompt[None])
    # A loop on a device cannot be stopped: Ctrl-C ends the process.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        if options.beams is None:
            write_sampled(trained, options, begun, stop, writer)
        else:
            write_searched(trained, options, begun, options.beams, stop, writer)
    finally:
        signal.signal(signal.SIGINT, before)
    if writer.broken is not None:
        raise writer.broken
    writer.end()


def write_sampled(trained: Trained, options: Generate, begun: Begun, stop: tuple[int, ...], writer: Writer) -> None:
    """Writes each token as soon as it is drawn."""
    drawn = sample(
        trained.model,
        trained.params,
        begun,
        jax.random.key(options.seed),
        options.length,
        options.sampling(),
        lambda tokens: writer(tokens[0]),
        stop,
    )
    jax.block_until_ready(drawn)
    jax.effects_barrier()


def write_searched(
    trained: Trained, options: Generate, begun: Begun, beams: int, stop: tuple[int, ...], writer: Writer
) -> None:
    """Writes the best hypothesis of a beam search. Raises ValueError for more hypotheses than fit into memory."""
    # Logits, probabilities and scores of every token after every hypothesis.
    check_capacity(f"{beams:,} beams", 16 * beams * len(trained.vocabulary))
    found = search(
        trained.model,
        trained.params,
        begun,
        beams,
        options.length,
        stop,
        options.length_penalty,
        options.repetition_penalty,
    )
    for token in np.asarray(found.tokens)[0, 0, : int(found.lengths[0, 0])]:
        writer(token)
