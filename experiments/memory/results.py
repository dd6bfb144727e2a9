"""The results of every seed of a training on a memory task, as a table, a figure and lines of metrics.jsonl."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from experiments.memory.config import Memory
from experiments.memory.train import Block
from rnnjax.analysis import SeedCurve, seed_curves
from rnnjax.analysis.seed_plots import Panel
from rnnjax.data.memory_task import MemoryTask
from rnnjax.runs.metrics import finite, known
from rnnjax.runs.report import table
from rnnjax.training.divergence import far_above_chance


class Result(NamedTuple):
    """The result of one seed: its last evaluation, and the update at which it solved the task or diverged.

    It solves the task at the first evaluation that fulfils the criterion. It diverges at the first update whose loss is
    not finite, or when the last losses are far above chance (`far_above_chance`).
    """

    seed: int
    updates: int
    loss: float
    score: float
    solved: int | None
    diverged: int | None

    @property
    def settled(self) -> bool:
        """Whether the seed has solved the task or diverged."""
        return self.solved is not None or self.diverged is not None


def first_results(seeds: Sequence[int]) -> list[Result]:
    """The results before the first block."""
    return [Result(seed, 0, math.nan, math.nan, None, None) for seed in seeds]


def after(block: Block, task: MemoryTask, results: Sequence[Result]) -> list[Result]:
    """The results of all seeds after one more block."""
    start = block.updates - block.training_losses.shape[1]
    new = []
    for result, losses, loss, score, first, recent in zip(
        results, block.training_losses, block.losses, block.scores, *block.history, strict=True
    ):
        lost = np.flatnonzero(~np.isfinite(losses))
        diverged, solved = result.diverged, result.solved
        if diverged is None and (len(lost) or not math.isfinite(loss)):
            diverged = start + int(lost[0]) + 1 if len(lost) else block.updates
        known = np.isfinite(recent).all()  # there were enough updates
        if diverged is None and known and far_above_chance(recent, task.zero_loss, float(first)):
            diverged = block.updates
        if solved is None and diverged is None and task.is_solved(float(loss), float(score)):
            solved = block.updates
        new.append(Result(result.seed, block.updates, float(loss), float(score), solved, diverged))
    return new


def verdict(result: Result) -> str:
    """The result in words."""
    if result.diverged is not None:
        solved = "" if result.solved is None else f"solved after {result.solved:,}, then "
        return f"{solved}diverged at update {result.diverged:,}"
    return "not solved" if result.solved is None else f"solved after {result.solved:,} updates"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def result_table(task: MemoryTask, results: Sequence[Result]) -> str:
    """A table of all seeds, with chance and the known solution for comparison."""
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


def block_line(block: Block, results: Sequence[Result], seconds: float) -> dict[str, Any]:
    """A block and the results after it as JSON values (None for NaN)."""
    return {
        "epoch": block.updates // block.training_losses.shape[1],
        "step": block.updates,
        "train_loss": finite(block.training_losses.mean(axis=1)),
        "validation_loss": finite(block.losses),
        "validation_score": finite(block.scores),
        "solved": [result.solved for result in results],
        "diverged": [result.diverged for result in results],
        "seconds": round(seconds, 3),
    }


def read_results(lines: Sequence[dict[str, Any]], seeds: Sequence[int]) -> list[Result]:
    """The results from the last of these lines, which are those of `block_line`."""
    if not lines:
        return first_results(seeds)
    last = lines[-1]
    losses, scores = known(last["validation_loss"]), known(last["validation_score"])
    rows = zip(seeds, losses, scores, last["solved"], last["diverged"], strict=True)
    return [Result(seed, last["step"], loss, score, *ends) for seed, loss, score, *ends in rows]


def result_line(result: Result) -> dict[str, Any]:
    """The result of a seed as JSON values."""
    loss = result.loss if math.isfinite(result.loss) else None
    values = {name: getattr(result, name) for name in ("seed", "updates", "score", "solved", "diverged")}
    return {**values, "loss": loss, "verdict": verdict(result)}


def draw(config: Memory, lines: Sequence[dict[str, Any]], results: Sequence[Result]) -> Figure:
    """A figure with the curves of all seeds, from the lines of the blocks."""
    task = config.problem()
    updates = np.array([line["step"] for line in lines])
    losses, scores = (
        np.array([known(line[name]) for line in lines]).T for name in ("validation_loss", "validation_score")
    )
    curves = [
        SeedCurve(f"seed {result.seed}", updates, loss, score, result.solved, result.diverged)
        for result, loss, score in zip(results, losses, scores, strict=True)
    ]
    levels = {"chance": task.chance, "known solution": task.known_solution}
    # A loss of 0, or one that is not known, cannot be drawn on a logarithmic axis.
    loss_levels = {name: level.loss for name, level in levels.items() if level.loss > 0}
    score_levels = {name: level.score for name, level in levels.items()}
    title = f"{config.task}, T={task.time}: {config.layers} x {config.cell}-{config.hidden}"
    return seed_curves(title, curves, Panel(task.loss_name, loss_levels), Panel(task.score_name, score_levels))
