"""What a word is in any script: the characters that are words by themselves, emoji, and HTML entities."""

import html
import html.entities
import re
import unicodedata
from typing import Literal

Kind = Literal["words", "bpe"]  # of tokens: words, or sub-words of bytes
# Letters of scripts without spaces between words, as ranges of a character class: each is a word by itself.
UNSPACED = (
    # Han, Hiragana, Katakana (also of half width) and Bopomofo; Hangul has spaces
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d"
    "\U0001aff0-\U0001b16f\U00020000-\U0003ffff"
    # Thai, Lao, Myanmar and Khmer
    "\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec6\u0edc-\u0edf"
    "\u1000-\u102a\u103f\u1050-\u1055\u1780-\u17b3\u17d7\u17dc"
)
# Voicing marks of Katakana of half width, signs of how an emoji is shown, and other signs of variants.
_VOICED, _SHOWN, _VARIANTS = "\uff9e\uff9f", "\ufe0e\ufe0f", "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_AS_PICTURE, _KEY, _JOINER, _TAGS = "\ufe0f", "\u20e3", "\u200d", "\U000e0020-\U000e007f"
# A picture, perhaps with a skin tone or, in the flag of a part of a country, with its letters. The signs of copyright
# and of trademarks are pictures only if they say so.
_PICTURE = (
    rf"(?:[\p{{Extended_Pictographic}}&&[^©®™]](?:\p{{Emoji_Modifier}}|[{_SHOWN}])?|[©®™]{_AS_PICTURE})[{_TAGS}]*"
)
# A flag, a key, pictures that are joined, or a skin tone.
EMOJI = (
    rf"\p{{Regional_Indicator}}{{1,2}}|[0-9#*]{_AS_PICTURE}?{_KEY}|{_PICTURE}(?:{_JOINER}{_PICTURE})*"
    r"|\p{Emoji_Modifier}"
)
# In the syntax of Oniguruma, which the library tokenizers uses. Combining marks belong to the letter before them.
WORD = rf"{EMOJI}|[{UNSPACED}][\p{{M}}{_VOICED}]*|[\w'&&[^{UNSPACED}{_VOICED}{_VARIANTS}]]+"
# What is not seen: where a word may break (soft hyphen, space without width), a joiner, marks of the writing direction.
UNSEEN = "\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
# Also what shapes letters, except what joins pictures: the joiner after anything but a letter or its marks.
SHAPING = rf"[{UNSEEN}\u200c]|(?<=[\p{{L}}\p{{M}}&&[^{_VARIANTS}]]){_JOINER}"
# Apostrophes of typesetting and of full width, which are single quotation marks too.
APOSTROPHES = "\u2018\u2019\u201b\u02bc\uff07"
# Between letters also an accent or a prime that was typed for one.
APOSTROPHE = rf"[{APOSTROPHES}]|(?<=\p{{L}})[\u00b4\u2032](?=\p{{L}})"
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


def visible(text: str) -> str:
    """The text composed (NFC), without the characters that are not seen."""
    return unicodedata.normalize("NFC", re.sub(f"[{UNSEEN}]", "", text))


def in_one_form(text: str) -> str:
    """The text composed (NFC), with straight apostrophes, without characters that are not seen or only shape letters.

    As `learn_vocabulary` reads it, except for joiners, which letters and pictures have, and accents for apostrophes.
    """
    return re.sub(f"[{APOSTROPHES}]", "'", visible(text.replace("\u200c", "")))


def unescaped(text: str) -> str:
    """The text with the characters that its HTML entities stand for, such as `&amp;` and `&#39;`.

    Only entities with a semicolon are replaced, once: `&amp;lt;` becomes `&lt;`.
    """
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(entity: re.Match[str]) -> str:
    name = entity[0][1:]
    return html.unescape(entity[0]) if name.startswith("#") else html.entities.html5.get(name, entity[0])
