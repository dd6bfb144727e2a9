"""rnnjax: recurrent networks in JAX, with one cell definition for every recurrence."""

from typing import TYPE_CHECKING

import rnnjax.start as _start  # noqa: F401  # first: a command is checked before JAX is imported
from rnnjax.lazy import lazily

if TYPE_CHECKING:
    from rnnjax.cells import GRU as GRU
    from rnnjax.cells import LRU as LRU
    from rnnjax.cells import LSTM as LSTM
    from rnnjax.cells import LSTMP as LSTMP
    from rnnjax.cells import MGU as MGU
    from rnnjax.cells import RGLRU as RGLRU
    from rnnjax.cells import S5 as S5
    from rnnjax.cells import SLSTM as SLSTM
    from rnnjax.cells import Cell as Cell
    from rnnjax.cells import CellParams as CellParams
    from rnnjax.cells import ConvLSTM as ConvLSTM
    from rnnjax.cells import CoRNN as CoRNN
    from rnnjax.cells import Elman as Elman
    from rnnjax.cells import FullGateLSTM as FullGateLSTM
    from rnnjax.cells import GRUResetBefore as GRUResetBefore
    from rnnjax.cells import HiddenState as HiddenState
    from rnnjax.cells import IndRNN as IndRNN
    from rnnjax.cells import LayerNormLSTM as LayerNormLSTM
    from rnnjax.cells import LinearCell as LinearCell
    from rnnjax.cells import LSTMState as LSTMState
    from rnnjax.cells import MinGRU as MinGRU
    from rnnjax.cells import MinLSTM as MinLSTM
    from rnnjax.cells import MultiplicativeLSTM as MultiplicativeLSTM
    from rnnjax.cells import ParaGRU as ParaGRU
    from rnnjax.cells import ParaLSTM as ParaLSTM
    from rnnjax.cells import PeepholeLSTM as PeepholeLSTM
    from rnnjax.cells import PointwiseCell as PointwiseCell
    from rnnjax.cells.jacobians import step_jacobian as step_jacobian
    from rnnjax.cells.jacobians import unit_jacobians as unit_jacobians
    from rnnjax.decoding import Decoded as Decoded
    from rnnjax.decoding import decode as decode
    from rnnjax.dropout import Dropout as Dropout
    from rnnjax.forecasting import Forecaster as Forecaster
    from rnnjax.initializers import identity as identity
    from rnnjax.initializers import uniform as uniform
    from rnnjax.layers import RNN as RNN
    from rnnjax.layers import Bidirectional as Bidirectional
    from rnnjax.layers import FlaxCell as FlaxCell
    from rnnjax.layers import RecurrentBlock as RecurrentBlock
    from rnnjax.layers import StackedRNN as StackedRNN
    from rnnjax.maps import BlockDiagonal as BlockDiagonal
    from rnnjax.maps import Conv as Conv
    from rnnjax.maps import Dense as Dense
    from rnnjax.maps import Map as Map
    from rnnjax.maps import MapParams as MapParams
    from rnnjax.models import Attention as Attention
    from rnnjax.models import EncoderDecoder as EncoderDecoder
    from rnnjax.models import LanguageModel as LanguageModel
    from rnnjax.models import SequenceClassifier as SequenceClassifier
    from rnnjax.models import SequenceTagger as SequenceTagger
    from rnnjax.parametrizations import Antisymmetric as Antisymmetric
    from rnnjax.parametrizations import Orthogonal as Orthogonal
    from rnnjax.parametrizations import Parametrization as Parametrization
    from rnnjax.parametrizations import WeightNorm as WeightNorm
    from rnnjax.recurrences import Associative as Associative
    from rnnjax.recurrences import Chunked as Chunked
    from rnnjax.recurrences import CuDNN as CuDNN
    from rnnjax.recurrences import Newton as Newton
    from rnnjax.recurrences import Recurrence as Recurrence
    from rnnjax.recurrences import Scan as Scan
    from rnnjax.recurrences import Unrolled as Unrolled

__getattr__, __dir__, __all__ = lazily(__name__)
