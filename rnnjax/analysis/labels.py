"""Untrusted names in figures."""

from rnnjax.terminal import printable

LONGEST = 100  # maximum number of characters
SHORT = 30  # for names along an axis


def label(text: object, longest: int = LONGEST) -> str:
    """The text as a literal label: not interpreted as TeX, and not hidden from a legend."""
    shown = "\n".join(map(printable, str(text).split("\n")))
    if len(shown) > longest:
        shown = f"{shown[: longest - 1]}…"
    # Matplotlib omits names with a leading underscore from a legend, so they get a zero-width space.
    return ("\u200b" if shown.startswith("_") else "") + shown.replace("$", r"\$")
