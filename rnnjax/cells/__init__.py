"""Cells: the computation of one time step."""

from typing import TYPE_CHECKING

from rnnjax.lazy import lazily

if TYPE_CHECKING:
    from rnnjax.cells.cell import Cell as Cell
    from rnnjax.cells.cell import CellParams as CellParams
    from rnnjax.cells.cell import HiddenState as HiddenState
    from rnnjax.cells.cell import PointwiseCell as PointwiseCell
    from rnnjax.cells.cell import sigmoid as sigmoid
    from rnnjax.cells.conv_lstm import ConvLSTM as ConvLSTM
    from rnnjax.cells.cornn import CoRNN as CoRNN
    from rnnjax.cells.cornn import CoRNNState as CoRNNState
    from rnnjax.cells.elman import Elman as Elman
    from rnnjax.cells.full_gate_lstm import FullGateExtras as FullGateExtras
    from rnnjax.cells.full_gate_lstm import FullGateLSTM as FullGateLSTM
    from rnnjax.cells.full_gate_lstm import FullGateState as FullGateState
    from rnnjax.cells.gru import GRU as GRU
    from rnnjax.cells.gru_reset_before import GRUResetBefore as GRUResetBefore
    from rnnjax.cells.indrnn import IndRNN as IndRNN
    from rnnjax.cells.indrnn import IndRNNExtras as IndRNNExtras
    from rnnjax.cells.jacobians import UnitJacobians as UnitJacobians
    from rnnjax.cells.jacobians import step_jacobian as step_jacobian
    from rnnjax.cells.jacobians import unit_jacobians as unit_jacobians
    from rnnjax.cells.layer_norm_lstm import LayerNormLSTM as LayerNormLSTM
    from rnnjax.cells.layer_norm_lstm import LayerNorms as LayerNorms
    from rnnjax.cells.linear import LinearCell as LinearCell
    from rnnjax.cells.lru import LRU as LRU
    from rnnjax.cells.lru import LRUExtras as LRUExtras
    from rnnjax.cells.lstm import LSTM as LSTM
    from rnnjax.cells.lstm import LSTMState as LSTMState
    from rnnjax.cells.lstmp import LSTMP as LSTMP
    from rnnjax.cells.lstmp import Projection as Projection
    from rnnjax.cells.mgu import MGU as MGU
    from rnnjax.cells.min_gru import MinGRU as MinGRU
    from rnnjax.cells.min_lstm import MinLSTM as MinLSTM
    from rnnjax.cells.multiplicative_lstm import MultiplicativeLSTM as MultiplicativeLSTM
    from rnnjax.cells.para_gru import ParaGRU as ParaGRU
    from rnnjax.cells.para_gru import ParaGRUExtras as ParaGRUExtras
    from rnnjax.cells.para_lstm import ParaLSTM as ParaLSTM
    from rnnjax.cells.para_lstm import ParaLSTMExtras as ParaLSTMExtras
    from rnnjax.cells.peephole_lstm import PeepholeLSTM as PeepholeLSTM
    from rnnjax.cells.peephole_lstm import Peepholes as Peepholes
    from rnnjax.cells.rg_lru import RGLRU as RGLRU
    from rnnjax.cells.rg_lru import RGLRUExtras as RGLRUExtras
    from rnnjax.cells.s5 import S5 as S5
    from rnnjax.cells.s5 import S5Extras as S5Extras
    from rnnjax.cells.slstm import SLSTM as SLSTM
    from rnnjax.cells.slstm import SLSTMState as SLSTMState

__getattr__, __dir__, __all__ = lazily(__name__)
