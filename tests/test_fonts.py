"""Figures of texts in any script: no warning of a missing glyph, and no letter that an installed font has is lost."""

import io
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from rnnjax.analysis.labels import label
from rnnjax.files import rendered
from rnnjax.fonts import BOX, drawable, further_families

# A circled letter is in a font that comes with Matplotlib, but not in its usual one.
CIRCLED = "\u24b6"
TEXTS = (
    "电影很好",
    "とても良い",
    "좋아요",
    "جميل جدا",
    "हिन्दी",
    "สวยมาก",
    "👍🏽",
    "👨‍👩‍👧 ❤️",
    "🇩🇪",
    f"{CIRCLED} café",
    "a\u3000b\u2400",
)


def glyphs(family=None):
    properties = FontProperties() if family is None else FontProperties(family=[family])
    return get_font(findfont(properties)).get_charmap()


def drawn(*names):
    figure = Figure(figsize=(3, 3))
    axes = figure.subplots()
    axes.set_xticks(range(len(names)), [label(name) for name in names])
    axes.set_title(label(names[0]), weight="bold")
    axes.plot([0, 1], label=label(names[-1]))
    axes.legend()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return rendered(figure, "png", 40)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_of_any_script_is_drawn_without_a_warning(text, caplog):
    assert drawn(text, "good").startswith(b"\x89PNG")
    assert not caplog.records


@given(st.text(max_size=20))
def test_any_text_is_drawn_without_a_warning(text):
    drawn(text, "good")


def test_the_letter_of_another_installed_font_is_drawn():
    assert ord(CIRCLED) not in glyphs()
    (family,) = further_families([CIRCLED, "abc"])
    assert ord(CIRCLED) in glyphs(family)
    assert drawable(CIRCLED) == CIRCLED
    figure = Figure()
    text = figure.text(0, 0, CIRCLED)
    rendered(figure, "png", 40)
    assert text.get_fontfamily()[-1] == family


def test_what_no_font_has_is_a_box_and_marks_are_left_out(monkeypatch):
    monkeypatch.setattr("rnnjax.fonts._families", lambda character: None if ord(character) > 0x2FFF else ())
    assert drawable("plain") == "plain"
    assert drawable("好 a👍🏽b") == f"{BOX} a{BOX}{BOX}b"
    assert drawable("❤\ufe0f") == "❤"
    assert drawable("a\u3000b") == "a b"
    monkeypatch.setattr("rnnjax.fonts._families", lambda character: None)
    assert drawable("好") == "?"


def test_plain_text_needs_no_font(monkeypatch):
    monkeypatch.setattr("rnnjax.fonts._families", None)
    assert drawable("plain text") == "plain text"
    assert further_families(["plain", "text"]) == []


def test_a_missing_glyph_would_warn():
    figure = Figure()
    figure.text(0, 0, CIRCLED)
    with pytest.warns(UserWarning, match="Glyph .* missing"):
        figure.savefig(io.BytesIO(), format="png")
