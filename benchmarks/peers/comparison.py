"""Runs a comparison: every peer is built and checked, then all are timed in turn, and each one has its row."""

import importlib.metadata
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from benchmarks.peers.catalogue import OURS, PEERS, is_ours
from benchmarks.peers.options import Comparison, parse_shape
from benchmarks.peers.peer import CELLS, CellName, Entrant, Problem, TaskName
from benchmarks.peers.reference import deviation, draw, reference_answers
from benchmarks.timing import PEAK, Spread, interleaved, matrix_product
from benchmarks.work import Shape, Task
from rnnjax.errors import first_line
from rnnjax.runs.folder import environment

BENCHMARK = "peers"
# The largest relative deviation from the float64 reference that float32 may have; measured: 2.1e-6 (PyTorch, T=5000).
TOLERANCE = 2e-5
WRONG = "wrong"
WORK: dict[TaskName, Task] = {"train": "train", "inference": "forward"}

Row = dict[str, Any]


class Checked(NamedTuple):
    """A peer whose numbers are right, with their deviation from the reference."""

    entrant: Entrant
    deviation: float


def compare(options: Comparison) -> Iterator[Row]:
    """A row for every peer at every cell, shape and task: its measurements, or the `reason` why there are none.

    Rows come as soon as they are known. A progress bar is drawn where standard error is a terminal.
    """
    common = {"benchmark": BENCHMARK, "rounds": options.rounds, "environment": peers_environment(options.peers)}
    groups: list[tuple[CellName, str]] = [(cell, shape) for shape in options.shapes for cell in options.cells]
    steps = len(groups) * (len(options.peers) + len(options.tasks) * options.rounds)
    with tqdm(total=steps, unit="step", disable=None, dynamic_ncols=True) as bar:

        def watch(done: int) -> None:
            bar.update()

        for cell, spelling in groups:
            problem = draw(cell, parse_shape(spelling))
            reference = reference_answers(problem)
            contest: dict[TaskName, dict[str, Checked]] = {task: {} for task in options.tasks}
            for name in options.peers:
                bar.set_description(f"{cell} {spelling}, checking {name}")
                checked = checked_tasks(name, problem, reference, options.tasks)
                for task in options.tasks:
                    if isinstance(checked, str):
                        yield {**common, **identity(name, cell, problem.shape, task), "reason": checked}
                    else:
                        contest[task][name] = checked[task]
                bar.update()
            for task, entrants in contest.items():
                bar.set_description(f"{cell} {spelling}, timing {task}")
                for row in timed(problem, task, entrants, options.rounds, watch):
                    yield {**common, **row}


def peers_environment(names: Iterable[str]) -> dict[str, Any]:
    """Versions, devices, commit and command, with the versions of the peers' libraries (null: not installed)."""
    facts = environment()
    for package in {PEERS[name].package for name in names} - set(facts["versions"]):
        try:
            facts["versions"][package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            facts["versions"][package] = None
    return facts


def identity(name: str, cell: CellName, shape: Shape, task: TaskName) -> Row:
    """What a row is about."""
    sizes = {"batch": shape.batch, "time": shape.time, "input": shape.input, "hidden": shape.hidden}
    peer = PEERS[name]
    return {
        "cell": cell,
        **sizes,
        "task": task,
        "peer": name,
        "title": peer.titles.get(cell, f"`{name}`"),
        "layout": peer.layout,
    }


def checked_tasks(
    name: str, problem: Problem, reference: dict[str, np.ndarray], tasks: Iterable[TaskName]
) -> dict[TaskName, Checked] | str:
    """The peer made ready for the tasks, or the reason why it is not to be timed.

    Inference is always made ready: whoever gives other outputs than the reference trains something else.
    """
    peer = PEERS[name]
    if problem.cell in peer.lacks:
        return f"no such cell: {peer.lacks[problem.cell]}"
    try:
        build = peer.load()
    except ModuleNotFoundError:
        return f"not installed: {peer.install}"
    checked: dict[TaskName, Checked] = {}
    for task in dict.fromkeys(("inference", *tasks)):
        try:
            entrant = build(problem, task)
        # Whatever another library raises is its row's reason, and no reason to stop timing the others.
        except Exception as error:
            message = first_line(error)
            return f"failed: {type(error).__name__}: {message}"
        found = deviation(entrant.answer, reference)
        if not found <= TOLERANCE:
            what = "outputs" if task == "inference" else "gradients"
            return f"{WRONG}: expected {what} within {TOLERANCE:.0e} of the float64 reference, got {found:.1e}"
        checked[task] = Checked(entrant, found)
    return checked


def timed(
    problem: Problem, task: TaskName, entrants: dict[str, Checked], rounds: int, watch: Callable[[int], None]
) -> list[Row]:
    """The rows of everybody who takes part, timed in turn in one process; `watch` hears how many rounds are done."""
    if not entrants:
        return []
    product, product_flop = matrix_product()
    calls: dict[str, Callable[[], Any]] = {}
    for name, (entrant, _) in entrants.items():
        if entrant.own_threads:
            # Its threads and JAX's settle during an untimed product, on whichever side its neighbour comes.
            calls |= {f"before {name}": product, name: entrant.call, f"after {name}": product}
        else:
            calls[name] = entrant.call
    seconds = interleaved({**calls, PEAK: product}, rounds, watch)
    peak = product_flop / np.median(seconds[PEAK])
    flop = problem.shape.flop(CELLS[problem.cell].gates, WORK[task])
    fastest = min(
        (name for name in entrants if not is_ours(name)), key=lambda name: np.median(seconds[name]), default=None
    )
    rows = []
    for name, (entrant, found) in entrants.items():
        rate = flop / np.median(seconds[name])
        rows.append(
            {
                **identity(name, problem.cell, problem.shape, task),
                "deviation": found,
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


def use_float32() -> None:
    """Float32 products are float32 on every device: by default a GPU or TPU multiplies with fewer bits."""
    if jax.default_backend() != "cpu":
        jax.config.update("jax_default_matmul_precision", "float32")
