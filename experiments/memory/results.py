"""What became of every seed of a training on a memory task: in a table, in a figure, in lines of metrics.jsonl."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from experiments.memory.config import Memory
from experiments.memory.train import Block
from rnnjax.analysis import SeedCurve, seed_curves
from rnnjax.analysis.seed_plots import Panel
from rnnjax.data.memory_tasks import MemoryTask
from rnnjax.runs.report import table
from rnnjax.training.divergence import WINDOW, far_above_chance


class Result(NamedTuple):
    """One seed's training: its last evaluation, and after how many updates it solved the task or diverged.

    It has solved the task from the first evaluation on that fulfils the criterion; it has diverged at the first
    update whose loss is not finite, or once the last WINDOW losses are far above chance (`far_above_chance`).
    """

    seed: int
    updates: int
    loss: float
    score: float
    solved: int | None
    diverged: int | None
    first: float = math.nan  # the loss of the first update, before it
    recent: tuple[float, ...] = ()  # losses of the last updates

    @property
    def settled(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.solved is not None or self.diverged is not None


def first_results(seeds: Sequence[int]) -> list[Result]:
    """Before the first block."""
    return [Result(seed, 0, math.nan, math.nan, None, None) for seed in seeds]


def after(block: Block, task: MemoryTask, results: Sequence[Result]) -> list[Result]:
    """The results of all seeds after one more block."""
    start = block.updates - block.training_losses.shape[1]
    new = []
    for result, losses, loss, score in zip(results, block.training_losses, block.losses, block.scores, strict=True):
        lost = np.flatnonzero(~np.isfinite(losses))
        diverged, solved = result.diverged, result.solved
        if diverged is None and (len(lost) or not math.isfinite(loss)):
            diverged = start + int(lost[0]) + 1 if len(lost) else block.updates
        first = float(losses[0]) if math.isnan(result.first) else result.first
        recent = (*result.recent, *losses.tolist())[-WINDOW:]
        if diverged is None and len(recent) == WINDOW and far_above_chance(recent, task.zero_loss, first):
            diverged = block.updates
        if solved is None and diverged is None and task.is_solved(float(loss), float(score)):
            solved = block.updates
        new.append(Result(result.seed, block.updates, float(loss), float(score), solved, diverged, first, recent))
    return new


def verdict(result: Result) -> str:
    """In words."""
    if result.diverged is not None:
        solved = "" if result.solved is None else f"solved after {result.solved:,}, then "
        return f"{solved}diverged at update {result.diverged:,}"
    return "not solved" if result.solved is None else f"solved after {result.solved:,} updates"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def result_table(task: MemoryTask, results: Sequence[Result]) -> str:
    """Every seed beside chance and the known solution."""
    chance, known = task.chance, task.known_solution
    rows = [
        ("chance", _number(chance.loss), _number(chance.score), "", ""),
        *(
            (f"seed {result.seed}", _number(result.loss), _number(result.score), f"{result.updates:,}", verdict(result))
            for result in results
        ),
        ("known solution", _number(known.loss), _number(known.score), "", ""),
    ]
    return table(("", task.loss_name, task.score_name, "updates", "verdict"), rows)


def block_line(block: Block, seconds: float) -> dict[str, Any]:
    """A block for JSON, which knows no NaN."""

    def finite(values: np.ndarray) -> list[float | None]:
        return [float(value) if math.isfinite(value) else None for value in values]

    return {
        "updates": block.updates,
        "training_losses": finite(block.training_losses.mean(axis=1)),
        "losses": finite(block.losses),
        "scores": finite(block.scores),
        "seconds": round(seconds, 3),
    }


def result_line(result: Result) -> dict[str, Any]:
    """A seed's result for JSON."""
    loss = result.loss if math.isfinite(result.loss) else None
    values = {name: getattr(result, name) for name in ("seed", "updates", "score", "solved", "diverged")}
    return {**values, "loss": loss, "verdict": verdict(result)}


def draw(config: Memory, blocks: Sequence[Block], results: Sequence[Result]) -> Figure:
    """The curves of all seeds."""
    task = config.problem()
    updates = np.array([block.updates for block in blocks])
    curves = [
        SeedCurve(
            f"seed {result.seed}",
            updates,
            np.array([block.losses[row] for block in blocks]),
            np.array([block.scores[row] for block in blocks]),
            result.solved,
            result.diverged,
        )
        for row, result in enumerate(results)
    ]
    levels = {"chance": task.chance, "known solution": task.known_solution}
    # A loss of 0 has no place on a logarithmic axis, nor one that is not known.
    losses = {name: level.loss for name, level in levels.items() if level.loss > 0}
    scores = {name: level.score for name, level in levels.items()}
    title = f"{config.task}, T={task.time}: {config.layers} x {config.cell}-{config.hidden}"
    return seed_curves(title, curves, Panel(task.loss_name, losses), Panel(task.score_name, scores))
