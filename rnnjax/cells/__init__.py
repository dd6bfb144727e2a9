"""Cells: what happens at one step."""

from rnnjax.cells.cell import Cell as Cell
from rnnjax.cells.cell import CellParams as CellParams
from rnnjax.cells.cell import PointwiseCell as PointwiseCell
from rnnjax.cells.cell import sigmoid as sigmoid
from rnnjax.cells.elman import Elman as Elman
from rnnjax.cells.elman import ElmanState as ElmanState
from rnnjax.cells.gru import GRU as GRU
from rnnjax.cells.gru import GRUState as GRUState
from rnnjax.cells.initializers import identity as identity
from rnnjax.cells.lstm import LSTM as LSTM
from rnnjax.cells.lstm import LSTMState as LSTMState
