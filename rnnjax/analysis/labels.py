"""Untrusted names in figures."""

from rnnjax.fonts import drawable
from rnnjax.terminal import printable

LONGEST = 100  # maximum number of characters
SHORT = 30  # for names along an axis


def label(text: object, longest: int = LONGEST) -> str:
    """The text as a literal label: not interpreted as TeX, not hidden from a legend, and of characters with a glyph."""
    shown = "\n".join(map(printable, str(text).split("\n")))
    if len(shown) > longest:
        shown = f"{shown[: longest - 1]}…"
    shown = drawable(shown)
    # Matplotlib omits names with a leading underscore from a legend, so they get a zero-width space.
    return ("\u200b" if shown.startswith("_") else "") + shown.replace("$", r"\$")
