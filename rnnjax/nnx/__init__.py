"""The layers as Flax NNX modules over the same functions: same parameters and numbers as the Linen layers.

Not imported by `import rnnjax`, since `flax.nnx` takes a while to import: `import rnnjax.nnx`.
"""

from rnnjax.nnx.bidirectional import Bidirectional as Bidirectional
from rnnjax.nnx.linen import from_linen as from_linen
from rnnjax.nnx.linen import to_linen as to_linen
from rnnjax.nnx.rnn import RNN as RNN
from rnnjax.nnx.stacked import StackedRNN as StackedRNN
