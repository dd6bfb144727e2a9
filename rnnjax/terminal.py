"""Text that may come from strangers, on the terminal."""

# What a terminal obeys instead of showing it: control characters (a picture of each, or the replacement character),
# separators of lines, marks that turn the direction of all that follows, and halves of characters.
_SHOWN = (
    {code: 0x2400 + code for code in range(0x20)}
    | {0x7F: 0x2421}
    | dict.fromkeys((*range(0x80, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD)
    | dict.fromkeys(range(0xD800, 0xE000), 0xFFFD)
)


def printable(text: str) -> str:
    """The text, as long as before, with a visible character in place of each that a terminal would obey."""
    return text if text.isascii() and text.isprintable() else text.translate(_SHOWN)
