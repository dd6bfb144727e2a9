"""How the options of a cell are given."""

import dataclasses

import pytest
from tables import CELLS

from rnnjax.cells import LSTM, Elman, PeepholeLSTM

KINDS = sorted({type(cell) for cell in CELLS.values()}, key=lambda kind: kind.__name__)

# The messages are Python's own.
pytestmark = pytest.mark.usefixtures("without_annotation_checks")

every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_no_option_is_positional(kind):
    for option in dataclasses.fields(kind):
        with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
            kind(option.default)
        assert kind(**{option.name: option.default}) == kind()


@pytest.mark.parametrize(("kind", "argument"), [(LSTM, 64), (Elman, "relu"), (PeepholeLSTM, 3)])
def test_what_reads_like_a_size_or_an_activation_is_no_forget_bias(kind, argument):
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        kind(argument)
