"""All peers: what each is called, how it lays out its inputs, which cells it has not, and where its code is."""

import functools
import importlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from benchmarks.peers import rnnjax
from benchmarks.peers.peer import CELLS, Build, CellName

BATCH_MAJOR, TIME_MAJOR = "batch-major", "time-major"
EXTRA = "pip install '.[peers]'"
# On Linux torch brings gigabytes of CUDA libraries unless its CPU build is asked for: it is in no extra.
INSTALL_TORCH = "pip install torch, in the build of your choice"


class Peer(NamedTuple):
    """One way to compute a recurrent layer, in a file of this folder.

    `titles` say what it is under each cell that it has, `lacks` why it has not the others. `package` is what its
    library is called where packages are installed from, `install` the command for that.
    """

    titles: Mapping[CellName, str]
    layout: str
    package: str
    module: str
    function: str = "build"
    arguments: tuple[Any, ...] = ()
    lacks: Mapping[CellName, str] = {}
    install: str = EXTRA

    def load(self) -> Build:
        """Its code. Raises ModuleNotFoundError where its library is not installed."""
        module = importlib.import_module(f"benchmarks.peers.{self.module}")
        return functools.partial(getattr(module, self.function), *self.arguments)


def titles(pattern: str, lstm: str = "", gru: str = "", elman: str = "") -> dict[CellName, str]:
    """The pattern with the library's name of each cell in it; a cell without a name is not there."""
    names: dict[CellName, str] = {"lstm": lstm, "gru": gru, "elman": elman}
    return {cell: pattern.format(name) for cell, name in names.items() if name}


def without(cells: Iterable[CellName], reason: str) -> dict[CellName, str]:
    """One reason for several cells."""
    return dict.fromkeys(cells, reason)


PEERS: dict[str, Peer] = {
    **{
        name: Peer(dict.fromkeys(CELLS, variant.title), BATCH_MAJOR, "rnnjax", "rnnjax", arguments=(variant,))
        for name, variant in rnnjax.VARIANTS.items()
    },
    "flax-optimized": Peer(
        titles("Flax `nn.RNN({})`", lstm="OptimizedLSTMCell"),
        BATCH_MAJOR,
        "flax",
        "flax",
        "build_optimized",
        lacks=without(("gru", "elman"), "Flax has an optimized cell for the LSTM only"),
    ),
    "flax": Peer(
        titles("Flax `nn.RNN({})`", lstm="LSTMCell", gru="GRUCell", elman="SimpleCell"), BATCH_MAJOR, "flax", "flax"
    ),
    "keras": Peer(
        titles("Keras on JAX `{}`", lstm="LSTM", gru="GRU", elman="SimpleRNN"), BATCH_MAJOR, "keras", "keras"
    ),
    "haiku": Peer(
        titles("Haiku `dynamic_unroll({})`", lstm="LSTM"),
        TIME_MAJOR,
        "dm-haiku",
        "haiku",
        lacks={
            "gru": "`hk.GRU` is another function: its reset gate comes before the product",
            "elman": "`hk.VanillaRNN` is another function: its activation is ReLU",
        },
    ),
    "equinox": Peer(
        titles("Equinox `{}` under `lax.scan`", lstm="LSTMCell", gru="GRUCell"),
        TIME_MAJOR,
        "equinox",
        "equinox",
        lacks={"elman": "Equinox has no such cell"},
    ),
    "torch": Peer(
        titles("PyTorch `nn.{}`", lstm="LSTM", gru="GRU", elman="RNN"),
        TIME_MAJOR,
        "torch",
        "torch",
        install=INSTALL_TORCH,
    ),
}
OURS = rnnjax.OURS


def is_ours(name: str) -> bool:
    """Whether this is a variant of rnnjax, and no peer of it."""
    return name in rnnjax.VARIANTS
