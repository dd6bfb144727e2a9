"""Cells by name: every public cell of the library, a user's own, and names that are none."""

import sys

import pytest
from linear_cells import LINEAR_CELLS
from tables import CELLS as COMPARED_CELLS
from tables import LSTM_VARIANTS

import rnnjax
from rnnjax import GRU, LSTM, SLSTM, Cell, ConvLSTM, LinearCell, PointwiseCell
from rnnjax.cells.names import ALL_CELLS, CELLS, cell_by_name

OWN = """
import dataclasses
from rnnjax import Elman

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(Elman):
    scale: float = 2.0

ready = Mine(scale=3.0)
number = 5
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_cells_of_a_user.py").write_text(OWN)
    (tmp_path / "own_cells_that_need_more.py").write_text("import no_such_module_at_all")
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_cells_of_a_user"
    sys.modules.pop("own_cells_of_a_user", None)


def test_every_public_cell_has_a_name():
    exported = [getattr(rnnjax, name) for name in rnnjax.__all__]
    public = {value for value in exported if isinstance(value, type) and issubclass(value, Cell)}
    assert {type(cell) for cell in ALL_CELLS.values()} == public - {Cell, PointwiseCell, LinearCell, ConvLSTM}
    assert ALL_CELLS.items() >= CELLS.items()


# By name, the cells that are compared with an oracle under another name.
COMPARED = {
    "nig": LSTM_VARIANTS["no_input_gate"],
    "nfg": LSTM_VARIANTS["no_forget_gate"],
    "nog": LSTM_VARIANTS["no_output_gate"],
    "niaf": LSTM_VARIANTS["no_input_activation"],
    "noaf": LSTM_VARIANTS["no_output_activation"],
    "cifg": LSTM_VARIANTS["coupled"],
    "np": LSTM_VARIANTS["no_peepholes"],
    "slstm": SLSTM(),
}


def test_a_name_is_the_cell_that_an_oracle_has():
    names = {name.replace("_", "-"): cell for name, cell in (COMPARED_CELLS | LINEAR_CELLS).items()} | COMPARED
    assert {name: names[name] for name in CELLS} == dict(CELLS)


def test_a_name_is_the_librarys_cell():
    assert cell_by_name("gru") == GRU()
    assert cell_by_name("rnnjax:LSTM") == LSTM()


def test_an_own_cell_is_a_class_or_an_object(own_module):
    made, ready = (cell_by_name(f"{own_module}:{name}") for name in ("Mine", "ready"))
    assert type(made) is type(ready) is sys.modules[own_module].Mine
    assert (vars(made)["scale"], vars(ready)["scale"]) == (2.0, 3.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lstn", r"cell: expected one of elman, .*, lstmp, or your own as module:Name, got 'lstn'"),
        (
            "own_cells_of_a_user:",
            r"cell: expected module:Name, such as package.module:MyCell, got 'own_cells_of_a_user:'",
        ),
        (".names:CELLS", r"cell: expected module:Name, .* got '.names:CELLS'"),
        ("no_such_module:Mine", r"cell: expected a module that can be imported, got 'no_such_module': No module named"),
        ("own_cells_that_need_more:Mine", r"got 'own_cells_that_need_more': No module named 'no_such_module_at_all'"),
        ("own_cells_of_a_user:Other", r"cell: expected a name defined in own_cells_of_a_user, got 'Other'"),
        ("own_cells_of_a_user:number", r"cell: expected a cell or a cell class, got .*:number, of type int"),
        ("own_cells_of_a_user:dataclasses", r"cell: expected a cell or a cell class, got .*, of type module"),
        ("rnnjax:LSTMP", r"cell: expected a cell, or a class without required options, got rnnjax:LSTMP: .*projection"),
        ("rnnjax:Cell", r"cell: expected a cell, or a class without required options, got rnnjax:Cell"),
    ],
)
def test_what_names_no_cell(own_module, name, message):
    with pytest.raises(ValueError, match=message):
        cell_by_name(name)
