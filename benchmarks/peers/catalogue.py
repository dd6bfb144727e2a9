"""All peers: what each is called, how it lays out its inputs, which cells it has not, and where its code is."""

import functools
import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.peers import rnnjax
from benchmarks.peers.peer import Build

BATCH_MAJOR, TIME_MAJOR = "batch-major", "time-major"
EXTRA = "pip install '.[peers]'"
# On Linux torch brings gigabytes of CUDA libraries unless its CPU build is asked for: it is in no extra.
INSTALL_TORCH = "pip install torch, in the build of your choice"


class Peer(NamedTuple):
    """One way to compute a recurrent layer, in a file of this folder.

    `titles` say what it is under each cell that it has, or for all cells at once; `lacks` why it has not some of the
    others. `package` is what its library is called where packages are installed from, `install` the command for that.
    """

    titles: Mapping[str, str] | str
    layout: str
    package: str
    module: str
    function: str = "build"
    arguments: tuple[Any, ...] = ()
    lacks: Mapping[str, str] = {}
    install: str = EXTRA

    def title(self, cell: str) -> str | None:
        """What it is under a cell of that name, or None."""
        return self.titles if isinstance(self.titles, str) else self.titles.get(cell)

    def lack(self, cell: str) -> str | None:
        """Why it has not the cell of that name, or None where it has."""
        if self.title(cell) is not None:
            return None
        return self.lacks.get(cell, f"this comparison knows none in {self.package} that computes the same")

    def load(self) -> Build:
        """Its code. Raises ModuleNotFoundError where its library is not installed."""
        module = importlib.import_module(f"benchmarks.peers.{self.module}")
        return functools.partial(getattr(module, self.function), *self.arguments)


def titles(pattern: str, **names: str) -> dict[str, str]:
    """The pattern with the library's name of each cell in it."""
    return {cell.replace("_", "-"): pattern.format(name) for cell, name in names.items()}


PEERS: dict[str, Peer] = {
    **{
        name: Peer(variant.title, BATCH_MAJOR, "rnnjax", "rnnjax", arguments=(variant,))
        for name, variant in rnnjax.VARIANTS.items()
    },
    "flax-optimized": Peer(
        titles("Flax `nn.RNN({})`", lstm="OptimizedLSTMCell"),
        BATCH_MAJOR,
        "flax",
        "flax",
        "build_optimized",
        lacks=dict.fromkeys(("gru", "elman"), "Flax has an optimized cell for the LSTM only"),
    ),
    "flax": Peer(
        titles("Flax `nn.RNN({})`", lstm="LSTMCell", gru="GRUCell", elman="SimpleCell"), BATCH_MAJOR, "flax", "flax"
    ),
    "keras": Peer(
        titles(
            "Keras on JAX `{}`", lstm="LSTM", gru="GRU", gru_reset_before="GRU(reset_after=False)", elman="SimpleRNN"
        ),
        BATCH_MAJOR,
        "keras",
        "keras",
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
        titles("PyTorch `nn.{}`", lstm="LSTM", lstmp="LSTM(proj_size)", gru="GRU", elman="RNN"),
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
