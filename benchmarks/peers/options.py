"""The options of the comparison."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks.options import Cells, check_options
from benchmarks.peers.catalogue import EXTRA, INSTALL_TORCH, PEERS
from benchmarks.peers.peer import TaskName
from benchmarks.work import Shape

SHAPES = ("64x500x32x100", "64x200x128x256", "32x1000x64x128", "16x100x64x512")
COMPARED = tuple(name for name in PEERS if name not in ("rnnjax-gates", "rnnjax-boundaries"))
PEERS_HELP = (
    f"Some of {', '.join(PEERS)}. A library that is not installed stays in the table, with the reason: "
    f"{EXTRA} installs all but PyTorch ({INSTALL_TORCH})."
)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Time the same recurrent layer in several libraries, side by side."""

    cells: Cells = ("lstm", "gru", "elman")
    shapes: tuple[str, ...] = SHAPES
    """Batch, time, input and hidden sizes: BxTxIxH."""
    tasks: tuple[TaskName, ...] = ("train", "inference")
    """A whole train step (gradients of weights and inputs, Adam), or the last output only."""
    peers: Annotated[tuple[str, ...], tyro.conf.arg(help=PEERS_HELP)] = COMPARED
    rounds: int = 15
    """Rounds; each one times every peer once, and a matrix product."""
    rows: Path | None = None
    """JSON Lines file to which each row is appended; by default runs/peers-TIME.jsonl."""

    def __post_init__(self):
        check_options(self, at_least_one=("rounds",), unique=("cells", "shapes", "tasks", "peers"))
        unknown = [name for name in self.peers if name not in PEERS]
        if unknown:
            raise ValueError(f"peers: expected some of {', '.join(PEERS)}, got {unknown[0]!r}")
        for spelling in self.shapes:
            Shape.parse(spelling)


PRESETS: dict[str, tuple[str, Comparison]] = {
    "standard": ("Compare at the usual sizes of networks.", Comparison()),
    "long": (
        "Compare an LSTM's train step over sequences of 100 to 100,000 steps: its time and its temporary memory.",
        Comparison(
            cells=("lstm",),
            shapes=tuple(f"8x{time}x32x128" for time in (100, 1000, 10_000, 100_000)),
            tasks=("train",),
            peers=("rnnjax", "rnnjax-gates", "rnnjax-boundaries", "rnnjax-scan", "flax-optimized"),
            rounds=5,
        ),
    ),
    "smoke": (
        "Run the LSTM in a tiny setting (under a minute): a check that everything works, without useful times.",
        Comparison(cells=("lstm",), shapes=("4x6x3x5",), rounds=2),
    ),
}
