"""What a word is: English as before, every letter of a script without spaces, every emoji; HTML entities."""

import html
import itertools
import re
import sys
import unicodedata

import pytest
from fuzz import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnjax.data import encode, learn_vocabulary
from rnnjax.data.splitting import unescaped

ENGLISH = re.compile(r"[a-z0-9_']+")
BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
UNSPACED = (
    "\u5f71",
    "\u3042",
    "\u30ab",
    "\u30fc",
    "\u3105",
    "\u0e01",
    "\u1000",
    "\u1780",
    "\U00020bb7",
    "\u304c",
    "\uff76\uff9e",
)
EMOJI = ("\U0001f600", "\u2764\ufe0f", "\u2639", "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea", "#\ufe0f\u20e3")
EMOJI += (
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f3f4\u200d\u2620\ufe0f",
    "\U0001f469\U0001f3ff\u200d\U0001f4bb",
)
SPACED = ("film", "don't", "x_1", "caf\u00e9", "\uc601\ud654", "\u062c\u0645\u064a\u0644", "\u0939\u093f\u0928")
BETWEEN = (" ", ", ", "<br />", "\n", "\u3002", " - ", "&nbsp;", "&amp;", "\u00a9 ")


def words(texts, **options):
    """The words of each text."""
    try:
        tokenizer, _ = learn_vocabulary(texts, **options)
    except ValueError:  # there is no word
        return [[] for _ in texts]
    known = {index: word for word, index in tokenizer.get_vocab().items()}
    sequences = encode(tokenizer, texts)
    return [[known[index] for index in sequences[n].tolist()] for n in range(len(texts))]


PRINTED = st.text(st.characters(max_codepoint=127, exclude_characters="&"), max_size=60)


@settings(max_examples=at_most(300))
@given(texts=st.lists(st.lists(PRINTED | st.just("<br />"), max_size=4).map(" ".join), min_size=1, max_size=5))
def test_english_has_the_words_that_a_plain_rule_finds(texts):
    assert words(texts) == [ENGLISH.findall(BREAK.sub(" ", text).lower()) for text in texts]
    plain = re.compile(ENGLISH.pattern, re.IGNORECASE)
    assert words(texts, lowercase=False) == [plain.findall(BREAK.sub(" ", text)) for text in texts]


@settings(max_examples=at_most(300))
@given(data=st.data())
def test_words_of_all_scripts_are_found_in_between(data):
    kinds = st.lists(st.sampled_from([*UNSPACED, *EMOJI, *SPACED]), min_size=1, max_size=12)
    expected = data.draw(kinds)
    text = expected[0]
    for before, after in itertools.pairwise(expected):
        spaced = before in SPACED and after in (*SPACED, "#\ufe0f\u20e3")
        text += data.draw(st.sampled_from(BETWEEN if spaced else (*BETWEEN, ""))) + after
    assert words([text]) == [expected]


def test_every_letter_of_a_script_without_spaces_is_a_word():
    names = (
        "CJK UNIFIED IDEOGRAPH",
        "CJK COMPATIBILITY IDEOGRAPH",
        "HIRAGANA LETTER",
        "KATAKANA LETTER",
        "BOPOMOFO LETTER",
    )
    names += ("HALFWIDTH KATAKANA LETTER", "THAI CHARACTER", "LAO LETTER", "KHMER LETTER", "MYANMAR LETTER")
    letters = [
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) == "Lo" and unicodedata.name(character, "").startswith(names)
    ]
    # Not letters of Burmese itself, but of other languages that use its script.
    letters = [
        letter for letter in letters if not "\u1056" <= letter <= "\u109f" and not "\ua9e0" <= letter <= "\uaa7f"
    ]
    assert len(letters) > 70_000
    (found,) = words(["".join(letters)])
    assert found == [unicodedata.normalize("NFC", letter) for letter in letters]


UNSEEN = "\u00ad\u200b\u200c\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff"
MARKED = (
    "caf\u00e9",
    "\ud55c\uad6d",
    "don't",
    "l'\u00e9t\u00e9",
    "'twas",
    "y\u1ebfu",
    "\u0645\u06cc\u0646",
    "x_1",
    "90s",
)


@settings(max_examples=at_most(300))
@given(data=st.data(), lowercase=st.booleans(), kind=st.sampled_from(["words", "bpe"]))
def test_a_word_has_the_same_tokens_however_it_is_written(data, lowercase, kind):
    expected = data.draw(st.lists(st.sampled_from(MARKED), min_size=1, max_size=6))
    written = []
    for word in expected:
        form = unicodedata.normalize(data.draw(st.sampled_from(["NFC", "NFD"])), word)
        form = form.replace("'", data.draw(st.sampled_from("'\u2018\u2019\u201b\u02bc\uff07")))
        place, sign = data.draw(st.integers(0, len(form))), data.draw(st.sampled_from(["", *UNSEEN]))
        written.append(form[:place] + sign + form[place:])
    tokenizer, _ = learn_vocabulary([" ".join(MARKED)], 400, kind=kind, lowercase=lowercase)
    got, want = encode(tokenizer, [" ".join(written), " ".join(expected)])
    assert got.tolist() == want.tolist()
    assert kind == "bpe" or len(want) == len(expected)


@settings(max_examples=at_most(300))
@given(text=st.text(st.sampled_from("&#;xX0123456789aAmpltgquo \U0001f600") | st.characters(exclude_categories=["Cs"])))
def test_entities_are_those_of_the_standard_library(text):
    assert unescaped(text) == text or "&" in text
    assert not any("\ud800" <= character <= "\udfff" for character in unescaped(text))
    if not re.search(r"&(?!#?\w+;)", text):  # which has no entity without a semicolon
        assert unescaped(text) in (html.unescape(text), text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("&amp;&lt;&#39;&#x27;&#X27;&eacute;", "&<'''\u00e9"),
        ("&amp;amp;", "&amp;"),
        ("&copy &copyright; &notit; &#; &#x; & ;", "&copy &copyright; &notit; &#; &#x; & ;"),
        ("&#128;&#0;&#xD800;&#1114112;", "\u20ac\ufffd\ufffd\ufffd"),
        ("AT&T;", "AT&T;"),
    ],
)
def test_entities(text, expected):
    assert unescaped(text) == expected
