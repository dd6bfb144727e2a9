"""What the comparison can be told."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks.cells import Cells, check_cells
from benchmarks.peers.catalogue import EXTRA, INSTALL_TORCH, PEERS
from benchmarks.peers.peer import TaskName
from benchmarks.work import Shape
from rnnjax.fields import check_fields

SHAPES = ("64x500x32x100", "64x200x128x256", "32x1000x64x128", "16x100x64x512")
COMPARED = tuple(name for name in PEERS if name not in ("rnnjax-gates", "rnnjax-boundaries"))
PEERS_HELP = (
    f"Who takes part, of {', '.join(PEERS)}. What is not installed is a row that says so: "
    f"{EXTRA} brings all but PyTorch ({INSTALL_TORCH})."
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
    """Rounds; in each one everybody runs once, next to a matrix product."""
    rows: Path | None = None
    """JSON Lines file that the rows are appended to as they come; runs/peers-TIME.jsonl unless given."""

    def __post_init__(self):
        check_fields(self, at_least_one=("rounds",))
        for name in ("cells", "shapes", "tasks", "peers"):
            values = getattr(self, name)
            if not values:
                raise ValueError(f"{name}: expected at least one, got none")
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: expected each one once, got {' '.join(values)}")
        unknown = [name for name in self.peers if name not in PEERS]
        if unknown:
            raise ValueError(f"peers: expected some of {', '.join(PEERS)}, got {unknown[0]!r}")
        for spelling in self.shapes:
            Shape.parse(spelling)
        check_cells(self.cells)


PRESETS: dict[str, tuple[str, Comparison]] = {
    "standard": (
        "Compare at the sizes that networks are trained with.",
        Comparison(),
    ),
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
        "Run the LSTM in a tiny setting (under a minute): shows that everything works, and measures nothing of use.",
        Comparison(cells=("lstm",), shapes=("4x6x3x5",), rounds=2),
    ),
}
