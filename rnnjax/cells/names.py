"""The cells that a study may be given, by name."""

from collections.abc import Mapping
from typing import Literal

from rnnjax import (
    GRU,
    LSTM,
    MGU,
    SLSTM,
    Elman,
    FullGateLSTM,
    GRUResetBefore,
    IndRNN,
    LayerNormLSTM,
    MultiplicativeLSTM,
    PeepholeLSTM,
    PointwiseCell,
    identity,
)

CellName = Literal[
    "elman",
    "irnn",
    "lstm",
    "gru",
    "gru-reset-before",
    "mgu",
    "indrnn",
    "layer-norm-lstm",
    "multiplicative-lstm",
    "slstm",
    "peephole-lstm",
    "nig",
    "nfg",
    "nog",
    "niaf",
    "noaf",
    "cifg",
    "np",
    "full-gate-lstm",
]
CELLS: Mapping[CellName, PointwiseCell] = {
    "elman": Elman(),
    # Le, Jaitly and Hinton 2015, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units".
    "irnn": Elman(activation="relu", recurrent_init=identity()),
    "lstm": LSTM(),
    "gru": GRU(),
    "gru-reset-before": GRUResetBefore(),
    "mgu": MGU(),
    "indrnn": IndRNN(),
    "layer-norm-lstm": LayerNormLSTM(),
    "multiplicative-lstm": MultiplicativeLSTM(),
    "slstm": SLSTM(),
    # Greff et al. 2015, "LSTM: A Search Space Odyssey", and what they call its variants: one part less, or FGR.
    "peephole-lstm": PeepholeLSTM(),
    "nig": PeepholeLSTM(input_gate=False),
    "nfg": PeepholeLSTM(forget_gate=False),
    "nog": PeepholeLSTM(output_gate=False),
    "niaf": PeepholeLSTM(input_activation=False),
    "noaf": PeepholeLSTM(output_activation=False),
    "cifg": PeepholeLSTM(coupled=True),
    "np": PeepholeLSTM(peepholes=False),
    "full-gate-lstm": FullGateLSTM(),
}
