"""Text generation with a trained language model: sampled and printed token by token, or the result of a beam search."""

import codecs
import signal
import sys
from collections.abc import Callable

import jax
import numpy as np

from experiments.language_model.config import Language
from experiments.language_model.data import Text, known_lines, tokens_of
from experiments.language_model.options import Generate as Generate
from experiments.language_model.trained import Trained, open_run
from rnnjax.commands import printable
from rnnjax.data import TokenVocabulary
from rnnjax.data.byte_pairs import bytes_of
from rnnjax.data.tokens import LINE_END, UNKNOWN
from rnnjax.sampling import Begun, read, sample, search
from rnnjax.training.capacity import check_capacity


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
