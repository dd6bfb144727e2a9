"""Names that may come from strangers, in figures."""

from rnnjax.terminal import printable

LONGEST = 100  # characters that are shown
SHORT = 30  # of a name at an axis, which many share


def label(text: object, longest: int = LONGEST) -> str:
    """The text as it stands: Matplotlib reads no TeX in it, and hides no line of a legend for its first character."""
    shown = "\n".join(map(printable, str(text).split("\n")))
    if len(shown) > longest:
        shown = f"{shown[: longest - 1]}…"
    # A name that begins with an underscore would be left out of a legend: a space of no width goes first.
    return ("\u200b" if shown.startswith("_") else "") + shown.replace("$", r"\$")
