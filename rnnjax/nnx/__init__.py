"""The layers as Flax NNX modules, built on the same functions: same parameters and numbers as the Linen layers.

`import rnnjax` does not import this package, because importing `flax.nnx` is slow; use `import rnnjax.nnx`.
"""

from rnnjax.nnx.bidirectional import Bidirectional as Bidirectional
from rnnjax.nnx.linen import from_linen as from_linen
from rnnjax.nnx.linen import to_linen as to_linen
from rnnjax.nnx.rnn import RNN as RNN
from rnnjax.nnx.stacked import StackedRNN as StackedRNN
