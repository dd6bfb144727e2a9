"""All peers: title, layout of the inputs, missing cells, and the module with the code."""

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from benchmarks.peers import rnnjax
from benchmarks.peers.flax import CELLS, OPTIMIZED_CELLS
from benchmarks.peers.peer import Entrant, Problem, TaskName

BATCH_MAJOR, TIME_MAJOR = "batch-major", "time-major"
EXTRA = "pip install '.[peers]'"
# On Linux torch installs gigabytes of CUDA libraries unless its CPU build is chosen: it is in no extra.
INSTALL_TORCH = "pip install torch, in the build of your choice"
KERAS_LAYERS = {"lstm": "LSTM", "gru": "GRU", "gru-reset-before": "GRU(reset_after=False)", "elman": "SimpleRNN"}
TORCH_MODULES = {"lstm": "LSTM", "lstmp": "LSTM(proj_size)", "gru": "GRU", "elman": "RNN"}


class Peer(NamedTuple):
    """One way to compute a recurrent layer, in a file of this folder.

    `titles` has its title by cell, or one title for all cells; `lacks` the reason why it has not a cell. `package` is
    the name of its library in a package index, `install` the command that installs it. `arguments` are the first ones
    of the module's `build`.
    """

    titles: Mapping[str, str] | str
    layout: str
    package: str
    module: str
    arguments: tuple[Any, ...] = ()
    lacks: Mapping[str, str] = {}
    install: str = EXTRA

    def title(self, cell: str) -> str | None:
        """The title with this cell, or None."""
        return self.titles if isinstance(self.titles, str) else self.titles.get(cell)

    def lack(self, cell: str) -> str | None:
        """The reason why it has not this cell, or None."""
        if self.title(cell) is not None:
            return None
        return self.lacks.get(cell, f"this comparison has no cell of {self.package} that computes the same")

    def load(self) -> Callable[[Problem, TaskName], Entrant]:
        """Its code. Raises ModuleNotFoundError if its library is not installed."""
        module = importlib.import_module(f"benchmarks.peers.{self.module}")
        return functools.partial(module.build, *self.arguments)


def titles(pattern: str, names: Mapping[str, str]) -> dict[str, str]:
    """The pattern with the library's name of each cell."""
    return {cell: pattern.format(name) for cell, name in names.items()}


PEERS: dict[str, Peer] = {
    **{
        name: Peer(variant.title, BATCH_MAJOR, "rnnjax", "rnnjax", (variant,))
        for name, variant in rnnjax.VARIANTS.items()
    },
    "flax-optimized": Peer(
        titles("Flax `nn.RNN({})`", OPTIMIZED_CELLS),
        BATCH_MAJOR,
        "flax",
        "flax",
        (OPTIMIZED_CELLS,),
        lacks=dict.fromkeys(("gru", "elman"), "Flax has an optimized cell for the LSTM only"),
    ),
    "flax": Peer(titles("Flax `nn.RNN({})`", CELLS), BATCH_MAJOR, "flax", "flax", (CELLS,)),
    "keras": Peer(titles("Keras on JAX `{}`", KERAS_LAYERS), BATCH_MAJOR, "keras", "keras"),
    "haiku": Peer(
        titles("Haiku `dynamic_unroll({})`", {"lstm": "LSTM"}),
        TIME_MAJOR,
        "dm-haiku",
        "haiku",
        lacks={
            "gru": "`hk.GRU` is another function: its reset gate comes before the product",
            "elman": "`hk.VanillaRNN` is another function: its activation is ReLU",
        },
    ),
    "equinox": Peer(
        titles("Equinox `{}` under `lax.scan`", {"lstm": "LSTMCell", "gru": "GRUCell"}),
        TIME_MAJOR,
        "equinox",
        "equinox",
        lacks={"elman": "Equinox has no such cell"},
    ),
    "torch": Peer(titles("PyTorch `nn.{}`", TORCH_MODULES), TIME_MAJOR, "torch", "torch", install=INSTALL_TORCH),
}


def is_ours(name: str) -> bool:
    """Whether this is a variant of rnnjax."""
    return name in rnnjax.VARIANTS
