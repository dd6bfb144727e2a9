"""The comparison: its options and presets; each peer is checked, then all are timed in interleaved rounds."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from tqdm import tqdm

from benchmarks.machine import environment
from benchmarks.numbers import allowed, deviation, reference
from benchmarks.options import Cells, check_options
from benchmarks.peers.catalogue import EXTRA, INSTALL_TORCH, PEERS, is_ours
from benchmarks.peers.peer import WORK, Answer, Entrant, Problem, TaskName, expected_answer, make_problem
from benchmarks.peers.rnnjax import OURS
from benchmarks.tables import described
from benchmarks.timing import PEAK, Spread, interleaved, matrix_product
from benchmarks.work import Shape

SHAPES = ("64x500x32x100", "64x200x128x256", "32x1000x64x128", "16x100x64x512")
COMPARED = tuple(name for name in PEERS if name not in ("rnnjax-gates", "rnnjax-boundaries"))
PEERS_HELP = (
    f"Some of {', '.join(PEERS)}. A library that is not installed stays in the table, with the reason: "
    f"{EXTRA} installs all but PyTorch ({INSTALL_TORCH})."
)
# The largest allowed deviation from the float64 reference; measured in float32: 2.1e-6 (PyTorch, T=5000).
TOLERANCE = 2e-5
WRONG = "wrong"  # the first word of the reason

Row = dict[str, Any]


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


def compare(options: Comparison) -> Iterator[Row]:
    """A row for every peer, cell, shape and task: its measurements, or the `reason` why there are none.

    Each row comes as soon as it is known. A progress bar is drawn if standard error is a terminal.
    """
    facts = environment(PEERS[name].package for name in options.peers)
    common = {"benchmark": "peers", "rounds": options.rounds, "environment": facts}
    groups = [(cell, shape) for shape in options.shapes for cell in options.cells]
    steps = len(groups) * (len(options.peers) + len(options.tasks) * options.rounds)
    with tqdm(total=steps, unit="step", disable=None, dynamic_ncols=True) as bar:
        for cell, spelling in groups:
            problem = make_problem(cell, Shape.parse(spelling))
            answers = reference(problem.cell, problem.shape)
            expected, most = expected_answer(problem, answers), allowed(TOLERANCE, answers)
            contest: dict[TaskName, dict[str, Entrant]] = {task: {} for task in options.tasks}
            for name in options.peers:
                bar.set_description(f"{cell} {spelling}, checking {name}")
                checked = checked_tasks(name, problem, expected, options.tasks, most)
                for task in options.tasks:
                    if isinstance(checked, str):
                        yield {**common, **identity(name, problem, task), "reason": checked}
                    else:
                        contest[task][name] = checked[task]
                bar.update()
            for task, entrants in contest.items():
                bar.set_description(f"{cell} {spelling}, timing {task}")
                for row in timed(problem, task, entrants, options.rounds, lambda done: bar.update()):
                    yield {**common, **row}


def identity(name: str, problem: Problem, task: TaskName) -> Row:
    """The fields of a row that say what was measured."""
    peer = PEERS[name]
    title = peer.title(problem.name) or f"`{name}`"
    facts = {"task": task, "peer": name, "title": title, "layout": peer.layout}
    return {"cell": problem.name, **vars(problem.shape), **facts}


def checked_tasks(
    name: str, problem: Problem, expected: Answer, tasks: Iterable[TaskName], most: float = TOLERANCE
) -> dict[TaskName, Entrant] | str:
    """The peer, ready for the tasks, or the reason why it is not timed.

    Inference is always checked: a peer with wrong outputs trains another function.
    """
    peer = PEERS[name]
    if (lack := peer.lack(problem.name)) is not None:
        return f"no such cell: {lack}"
    checked: dict[TaskName, Entrant] = {}
    for task in dict.fromkeys(("inference", *tasks)):
        try:
            entrant = peer.load()(problem, task)
            found = deviation(entrant.answer, {name: expected[name] for name in entrant.answer})
        except ModuleNotFoundError:
            return f"not installed: {peer.install}"
        except Exception as error:  # of another library: the others are timed all the same
            return f"failed: {described(error)}"
        if not found <= most:
            what = "outputs" if task == "inference" else "gradients"
            return f"{WRONG}: expected {what} within {most:.0e} of the float64 reference, got {found:.1e}"
        checked[task] = entrant._replace(deviation=found)
    return checked


def timed(
    problem: Problem, task: TaskName, entrants: dict[str, Entrant], rounds: int, watch: Callable[[int], object]
) -> list[Row]:
    """The rows of all entrants, timed in one process; `watch` receives the number of rounds done."""
    if not entrants:
        return []
    product, product_flop = matrix_product()
    calls: dict[str, Callable[[], Any]] = {}
    for name, entrant in entrants.items():
        if entrant.own_threads:
            # Its threads and those of JAX come to rest during an untimed product on either side.
            calls |= {f"before {name}": product, name: entrant.call, f"after {name}": product}
        else:
            calls[name] = entrant.call
    seconds = interleaved({**calls, PEAK: product}, rounds, watch)
    peak = product_flop / np.median(seconds[PEAK])
    flop = problem.shape.flop(problem.cell, WORK[task])
    peers = [name for name in entrants if not is_ours(name)]
    fastest = min(peers, key=lambda name: np.median(seconds[name]), default=None)
    rows = []
    for name, entrant in entrants.items():
        rate = flop / np.median(seconds[name])
        rows.append(
            {
                **identity(name, problem, task),
                "deviation": entrant.deviation,
                "seconds": Spread.of(seconds[name]),
                "devices": entrant.devices,
                "compile_seconds": entrant.compile_seconds,
                "temp_bytes": entrant.temp_bytes,
                "flop_per_second": rate,
                "peak_flop_per_second": peak,
                "peak_share": rate / peak,
                "ours_to_this": Spread.of(seconds[OURS] / seconds[name]) if OURS in seconds else None,
                "fastest_peer": fastest,
                "this_to_fastest": Spread.of(seconds[name] / seconds[fastest]) if fastest else None,
            }
        )
    return rows
