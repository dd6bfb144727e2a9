"""Flax Linen modules over cells and recurrences. They declare parameters; the equations are elsewhere."""

from rnnjax.layers.bidirectional import Bidirectional as Bidirectional
from rnnjax.layers.flax_cell import FlaxCell as FlaxCell
from rnnjax.layers.parameters import cell_params as cell_params
from rnnjax.layers.rnn import RNN as RNN
from rnnjax.layers.stacked import StackedRNN as StackedRNN
