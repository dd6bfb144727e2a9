"""Glyphs for the scripts of texts in figures: from fonts that are installed, else a visible box."""

import contextlib
import functools
import itertools
import logging
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from rnnjax.extras import extra
from rnnjax.terminal import quiet

BOX = "\u25a1"
# Families with the characters of many scripts, the best first. All other installed families come after them.
WIDE = (
    *("Noto Sans CJK", "Noto Sans", "Source Han Sans", "Arial Unicode MS", "PingFang", "Hiragino", "Microsoft YaHei"),
    *("Yu Gothic", "Malgun Gothic", "WenQuanYi", "Droid Sans Fallback", "Noto Emoji", "Segoe UI", "Symbola", "Unifont"),
)
# Fonts of pictures, which Matplotlib cannot draw, and of boxes.
NOT_DRAWN = ("Color Emoji", "Last Resort")
# Reading the characters of a font takes about 10 ms.
MOST_FAMILIES = 100
# A font that does not come in bold is drawn in its normal weight, which Matplotlib would log.
NO_BOLD = ("matplotlib.font_manager", logging.ERROR)


def drawable(text: str) -> str:
    """The text with a box for each character that no installed font has, and without such joiners and marks.

    Joiners and marks change the character before them and have no width of their own.
    """
    return text if text.isascii() else "".join(map(_drawable, text))


def _drawable(character: str) -> str:
    if character.isascii() or _families(character) is not None:
        return character
    if character.isspace():
        return " "
    if unicodedata.category(character) in ("Cf", "Mn", "Me"):
        return ""
    return BOX if _families(BOX) is not None else "?"


def further_families(texts: Iterable[str]) -> list[str]:
    """The installed families that have the characters of the texts which the font of figures does not have."""
    characters = sorted({character for text in texts if not text.isascii() for character in text})
    return list(dict.fromkeys(itertools.chain.from_iterable(_families(character) or () for character in characters)))


@contextlib.contextmanager
def further_fonts(figure: Any) -> Iterator[None]:
    """While a Matplotlib figure is drawn, its texts have the families that their characters need, too."""
    from matplotlib.text import Text  # imported late, because the import is slow

    for axes in figure.axes:
        for made in (axes.get_xticklabels, axes.get_yticklabels):  # which otherwise have no text before they are drawn
            made()
    texts = figure.findobj(Text)
    if families := further_families(text.get_text() for text in texts):
        for text in texts:
            text.set_fontfamily([*text.get_fontfamily(), *families])
    with quiet(*NO_BOLD):
        yield


@functools.lru_cache(maxsize=1 << 16)
def _families(character: str) -> tuple[str, ...] | None:
    """The families that a character needs in addition to the font of figures; None if no font has it."""
    code = ord(character)
    if code in _characters(None):
        return ()
    return next(((family,) for family in _candidates() if code in _characters(family)), None)


@functools.cache
def _candidates() -> tuple[str, ...]:
    from matplotlib.font_manager import fontManager

    names = {entry.name for entry in fontManager.ttflist if not any(part in entry.name for part in NOT_DRAWN)}

    def rank(name: str) -> tuple[int, str]:
        return next((place for place, wide in enumerate(WIDE) if name.startswith(wide)), len(WIDE)), name

    return tuple(sorted(names, key=rank)[:MOST_FAMILIES])


@functools.cache
def _characters(family: str | None) -> frozenset[int]:
    """The characters of a family, both in normal and in bold weight; None: the font of figures."""
    with extra("plots", "figure"):
        from matplotlib.font_manager import FontProperties, findfont, get_font

    found = []
    for weight in ("normal", "bold"):
        try:
            properties = FontProperties(family=None if family is None else [family], weight=weight)
            with quiet(*NO_BOLD):
                font = get_font(findfont(properties, fallback_to_default=family is None))
        except (OSError, RuntimeError, ValueError):  # a damaged font
            return frozenset()
        found.append(font.get_charmap().keys() if font.scalable else ())  # bitmaps have no size of their own
    return frozenset(found[0]) & frozenset(found[1])
