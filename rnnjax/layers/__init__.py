"""Flax Linen modules for cells and recurrences. They only declare parameters; cells define the equations."""

from rnnjax.layers.bidirectional import Bidirectional as Bidirectional
from rnnjax.layers.block import RecurrentBlock as RecurrentBlock
from rnnjax.layers.block import layer_of as layer_of
from rnnjax.layers.flax_cell import FlaxCell as FlaxCell
from rnnjax.layers.parameters import cell_params as cell_params
from rnnjax.layers.rnn import RNN as RNN
from rnnjax.layers.stacked import StackedRNN as StackedRNN
