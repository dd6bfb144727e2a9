"""One group of cases: each checked, compiled, and then all timed in the same rounds."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np
from jax.sharding import Mesh

from benchmarks.numbers import allowed
from benchmarks.recurrences.cases import BASELINE, Case, Subject
from benchmarks.recurrences.checks import answers, check, tolerance
from benchmarks.recurrences.executables import arguments, executable
from benchmarks.recurrences.outcome import Outcome, Speed
from benchmarks.tables import described
from benchmarks.timing import PEAK, Spread, interleaved, matrix_product, repeated

# A turn of one short step would time the caches that its neighbour left cold.
TURN_SECONDS, MOST_STEPS = 0.02, 100


def measure(
    group: Sequence[Subject],
    mesh: Mesh,
    rounds: int,
    left_out: Callable[[Case], str | None] = lambda case: None,
    prepared: Callable[[Case], None] = lambda case: None,
    round_done: Callable[[int], None] = lambda done: None,
) -> Iterator[Outcome]:
    """What becomes of the cases of a group: those that are not timed as soon as that is known, the others last.

    `left_out` gives the reason not to compile a case. `prepared` hears of each case when it is ready or given up,
    `round_done` how many rounds are done.
    """
    ready = []
    for subject in group:
        reason = left_out(subject.case)
        outcome = Outcome(subject.case, "not compiled", reason) if reason else prepare(subject, mesh)
        if outcome.reason is None:
            ready.append((subject, outcome))
        else:
            yield outcome
        prepared(subject.case)
    if ready:
        yield from timed(ready, mesh, rounds, round_done)


def prepare(subject: Subject, mesh: Mesh) -> Outcome:
    """The case checked and compiled. It has a reason not to be timed where its numbers are wrong, or where it failed.

    Whatever JAX raises, from a trace that does not type to memory that runs out, is what became of the case.
    """
    try:
        deviation = check(subject, mesh)
        built = executable(subject, mesh)
    except Exception as error:
        return Outcome(subject.case, "failed", described(error))
    outcome = Outcome(
        subject.case,
        "measured",
        deviation=deviation,
        lower_seconds=built.lower_seconds,
        compile_seconds=built.compile_seconds,
        temp_bytes=built.temp_bytes,
    )
    most = tolerance(subject.case, mesh.devices.flat[0].platform)
    most = allowed(most, answers(subject.cell, subject.case.shape))
    if deviation.within(most):
        return outcome
    words = f"values {deviation.values:.1e}, gradients {deviation.gradients:.1e}"
    return dataclasses.replace(outcome, status="wrong", reason=f"wrong: deviation of {words}, allowed {most:.0e}")


def timed(
    ready: Sequence[tuple[Subject, Outcome]], mesh: Mesh, rounds: int, round_done: Callable[[int], None]
) -> Iterator[Outcome]:
    """The outcomes with their speeds, from rounds in which each has its turn, and a matrix product runs as well."""
    try:
        product, product_flop = matrix_product(dtype=ready[0][1].case.dtype, mesh=mesh)
        steppers = {subject.case.recurrence: stepper(subject, mesh) for subject, _ in ready}
        steps = steps_of_a_turn(min(float(seconds[0]) for seconds in interleaved(steppers, 1).values()))
        turns = {name: turn(call, steps) for name, call in steppers.items()}
        seconds = interleaved({PEAK: product, **turns}, rounds, round_done)
    except Exception as error:  # each of them ran alone: together they may be too much for the memory
        reason = f"while the group was timed: {described(error)}"
        yield from (dataclasses.replace(outcome, status="failed", reason=reason) for _, outcome in ready)
        return
    peak = product_flop / float(np.median(seconds[PEAK])) / 1e9
    for subject, outcome in ready:
        mine = seconds[subject.case.recurrence] / steps
        baseline = seconds[BASELINE] / steps if BASELINE in seconds else None
        yield dataclasses.replace(outcome, speed=speed(subject, mine, baseline, peak))


def stepper(subject: Subject, mesh: Mesh) -> Callable[[], object]:
    """A call that takes one step of the case. A train step goes on from the last one's parameters."""
    compiled = executable(subject, mesh).compiled
    given = arguments(subject, mesh)
    if subject.case.task == "train":
        return repeated(compiled, *given)
    return lambda: compiled(*given)


def steps_of_a_turn(seconds: float) -> int:
    """How many steps of the group's fastest case fill a turn."""
    return max(1, min(MOST_STEPS, round(TURN_SECONDS / seconds)))


def turn(call: Callable[[], object], steps: int) -> Callable[[], None]:
    """What a case does in a round: so many steps, each done before the next begins."""

    def take() -> None:
        for _ in range(steps):
            jax.block_until_ready(call())

    return take


def speed(subject: Subject, seconds: np.ndarray, baseline: np.ndarray | None, peak: float) -> Speed:
    """From the seconds of every round, the baseline's in the same rounds, and the peak in GFLOP/s."""
    step = Spread.of(seconds)
    gflop_per_second = subject.flop / step.middle / 1e9
    return Speed(
        round_seconds=seconds.tolist(),
        step_seconds=step,
        tokens_per_second=subject.case.batch * subject.case.time / step.middle,
        gflop_per_second=gflop_per_second,
        peak_gflop_per_second=peak,
        peak_share=gflop_per_second / peak,
        scan_ratio=None if baseline is None else Spread.of(seconds / baseline),
    )
