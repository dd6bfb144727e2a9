"""Several objects on a line of a JSON file are found, wherever the blocks of the file end."""

import json

import pytest
from fuzz import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnjax.data import file_checks

VALUES = st.recursive(
    st.text('a}{"\\\n[]'),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text('a}"'), inner, max_size=2),
)
OBJECTS = st.lists(st.dictionaries(st.text("text}{"), VALUES, max_size=2), min_size=1, max_size=4)


def first_crowded(text):
    """The line on which an object begins after another one; None if there is no such line."""
    place, decoder = 0, json.JSONDecoder()
    while True:
        _, end = decoder.raw_decode(text, place)
        place = len(text) - len(text[end:].lstrip())
        if place == len(text):
            return None
        if "\n" not in text[end:place]:
            return text.count("\n", 0, place) + 1


@settings(max_examples=at_most(300))
@given(
    objects=OBJECTS,
    ends=st.lists(st.sampled_from(["\n", "\n\n", " \n ", "", "  "]), min_size=4, max_size=4),
    indent=st.sampled_from([None, 1]),
    block=st.integers(1, 30),
)
def test_objects_on_one_line_are_named(tmp_path_factory, objects, ends, indent, block):
    text = "".join(json.dumps(value, indent=indent) + end for value, end in zip(objects, ends, strict=False))
    path = tmp_path_factory.getbasetemp() / "a.jsonl"
    path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_checks, "BLOCK", block)
        want, message = first_crowded(text), ""
        try:
            file_checks.check_structure(path)
        except ValueError as error:
            message = str(error)
    assert message == (
        "" if want is None else f"{path}, line {want}: expected one object a line, got another one after it"
    )
