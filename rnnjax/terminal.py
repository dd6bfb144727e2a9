"""What appears on the terminal: untrusted text made visible, and messages of other libraries held back."""

import contextlib
import logging
from collections.abc import Iterator

# Characters that a terminal interprets instead of showing them, with a replacement: control characters (their control
# picture or the replacement character), line separators, direction marks, and surrogates.
_SHOWN = (
    {code: 0x2400 + code for code in range(0x20)}
    | {0x7F: 0x2421}
    | dict.fromkeys((*range(0x80, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD)
    | dict.fromkeys(range(0xD800, 0xE000), 0xFFFD)
)


def printable(text: str) -> str:
    """The text with each character that a terminal would interpret replaced by one visible character."""
    return text if text.isascii() and text.isprintable() else text.translate(_SHOWN)


@contextlib.contextmanager
def quiet(logger: str, level: int) -> Iterator[None]:
    """A context in which the logger of this name drops messages below the level."""
    known = logging.getLogger(logger)
    before = known.level
    known.setLevel(level)
    try:
        yield
    finally:
        known.setLevel(before)
