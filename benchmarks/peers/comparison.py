"""Runs a comparison: every peer is built and checked, then all are timed in turn, and each one has its row."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from benchmarks.machine import environment
from benchmarks.numbers import allowed, deviation, reference
from benchmarks.peers.catalogue import OURS, PEERS, is_ours
from benchmarks.peers.options import Comparison
from benchmarks.peers.peer import Answer, Entrant, Problem, TaskName, expected_answer, make_problem
from benchmarks.tables import described
from benchmarks.timing import PEAK, Spread, interleaved, matrix_product
from benchmarks.work import Shape, Task

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
    facts = environment(PEERS[name].package for name in options.peers)
    common = {"benchmark": BENCHMARK, "rounds": options.rounds, "environment": facts}
    groups = [(cell, shape) for shape in options.shapes for cell in options.cells]
    steps = len(groups) * (len(options.peers) + len(options.tasks) * options.rounds)
    with tqdm(total=steps, unit="step", disable=None, dynamic_ncols=True) as bar:

        def watch(done: int) -> None:
            bar.update()

        for cell, spelling in groups:
            problem = make_problem(cell, Shape.parse(spelling))
            answers = reference(problem.cell, problem.shape)
            expected, most = expected_answer(problem, answers), allowed(TOLERANCE, answers)
            contest: dict[TaskName, dict[str, Checked]] = {task: {} for task in options.tasks}
            for name in options.peers:
                bar.set_description(f"{cell} {spelling}, checking {name}")
                checked = checked_tasks(name, problem, expected, options.tasks, most)
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


def identity(name: str, cell: str, shape: Shape, task: TaskName) -> Row:
    """What a row is about."""
    peer = PEERS[name]
    return {
        "cell": cell,
        **vars(shape),
        "task": task,
        "peer": name,
        "title": peer.title(cell) or f"`{name}`",
        "layout": peer.layout,
    }


def checked_tasks(
    name: str, problem: Problem, expected: Answer, tasks: Iterable[TaskName], most: float = TOLERANCE
) -> dict[TaskName, Checked] | str:
    """The peer made ready for the tasks, or the reason why it is not to be timed.

    Inference is always made ready: whoever gives other outputs than the reference trains something else.
    """
    peer = PEERS[name]
    if (lack := peer.lack(problem.name)) is not None:
        return f"no such cell: {lack}"
    try:
        build = peer.load()
    except ModuleNotFoundError:
        return f"not installed: {peer.install}"
    checked: dict[TaskName, Checked] = {}
    for task in dict.fromkeys(("inference", *tasks)):
        try:
            entrant = build(problem, task)
            found = deviation(entrant.answer, {name: expected[name] for name in entrant.answer})
        # Whatever another library raises is its row's reason, and no reason to stop timing the others.
        except Exception as error:
            return f"failed: {described(error)}"
        if not found <= most:
            what = "outputs" if task == "inference" else "gradients"
            return f"{WRONG}: expected {what} within {most:.0e} of the float64 reference, got {found:.1e}"
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
    flop = problem.shape.flop(problem.cell, WORK[task])
    fastest = min(
        (name for name in entrants if not is_ours(name)), key=lambda name: np.median(seconds[name]), default=None
    )
    rows = []
    for name, (entrant, found) in entrants.items():
        rate = flop / np.median(seconds[name])
        rows.append(
            {
                **identity(name, problem.name, problem.shape, task),
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
