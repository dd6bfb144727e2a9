"""rnnjax: recurrent networks in JAX, one cell definition under every recurrence."""

from rnnjax.cells import GRU as GRU
from rnnjax.cells import LSTM as LSTM
from rnnjax.cells import Cell as Cell
from rnnjax.cells import CellParams as CellParams
from rnnjax.cells import Elman as Elman
from rnnjax.cells import ElmanState as ElmanState
from rnnjax.cells import GRUState as GRUState
from rnnjax.cells import LSTMState as LSTMState
from rnnjax.cells import PointwiseCell as PointwiseCell
from rnnjax.cells import identity as identity
from rnnjax.dropout import Dropout as Dropout
from rnnjax.layers import RNN as RNN
from rnnjax.layers import Bidirectional as Bidirectional
from rnnjax.layers import FlaxCell as FlaxCell
from rnnjax.layers import StackedRNN as StackedRNN
from rnnjax.models import LanguageModel as LanguageModel
from rnnjax.models import SequenceClassifier as SequenceClassifier
from rnnjax.recurrences import Chunked as Chunked
from rnnjax.recurrences import Recurrence as Recurrence
from rnnjax.recurrences import Scan as Scan
from rnnjax.recurrences import Unrolled as Unrolled
