"""Measures one group of cases: each is compiled and checked against `Scan` in float64, then all are timed together."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from benchmarks.numbers import allowed, deviation, draw, last_output, reference
from benchmarks.recurrences.cases import BASELINE, Case, Deviation, Outcome, Speed, Subject
from benchmarks.tables import described
from benchmarks.timing import PEAK, Spread, interleaved, matrix_product
from benchmarks.work import Executable, Work
from rnnjax.layers.parameters import cast

# The largest allowed deviation. Measured with `Scan` and `Chunked`, LSTM, GRU and Elman, T up to 1,000 and H up to 512:
# 1.2e-6 in float32, and 6.2e-2 in bfloat16, in which `Scan` also sums gradients.
FLOAT32_TOLERANCE, BFLOAT16_TOLERANCE = 1e-5, 1e-1
KEPT = 64  # compiled functions: at least all tasks of one shape under all recurrences
# Several short steps are timed together: the first one runs with the caches of the previous case.
TURN_SECONDS, MOST_STEPS = 0.02, 100

# Cases of one shape follow each other.
numbers = functools.lru_cache(maxsize=1)(draw)
answers = functools.lru_cache(maxsize=4)(reference)


def measure(
    group: Sequence[Subject],
    mesh: Mesh,
    rounds: int,
    left_out: Callable[[Case], str | None] = lambda case: None,
    show: Callable[[str], None] = lambda words: None,
) -> Iterator[Outcome]:
    """The outcomes of a group: first the cases that are not timed, as soon as that is known.

    `left_out` gives the reason not to compile a case. `show` receives what is done now.
    """
    ready = []
    for subject in group:
        show(f"checking {subject.case}")
        reason = left_out(subject.case)
        outcome = Outcome(subject.case, "not compiled", reason) if reason else prepare(subject, mesh)
        if outcome.reason is None:
            ready.append((subject, outcome))
        else:
            yield outcome
    if ready:
        show(f"timing {len(ready)} recurrences")
        yield from timed(ready, mesh, rounds)


def prepare(subject: Subject, mesh: Mesh) -> Outcome:
    """The case, checked and compiled. Its outcome has a reason if it failed or its numbers are wrong."""
    try:
        found = check(subject, mesh)
        built = executable(subject, mesh)
    except Exception as error:  # of tracing, of compiling, or no memory: the other cases are measured all the same
        return Outcome(subject.case, "failed", described(error))
    most = tolerance(subject, mesh.devices.flat[0].platform)
    right = all(number <= most for number in found)  # False for NaN
    words = f"values {found.values:.1e}, gradients {found.gradients:.1e}"
    return Outcome(
        subject.case,
        "measured" if right else "wrong",
        None if right else f"wrong: deviation of {words}, allowed {most:.0e}",
        found,
        built.lower_seconds,
        built.compile_seconds,
        built.temp_bytes,
    )


def work(subject: Subject, mesh: Mesh) -> Work:
    """The work of the case, computed in its dtype; parameters and their gradients are float32."""
    case, cell, recurrence = subject

    def last(params: Any, inputs: jax.Array) -> jax.Array:
        params, inputs = cast((params, inputs), case.dtype)
        state = cell.init_state(inputs.shape[1], case.hidden, inputs.dtype)
        return last_output(cell, recurrence, params, inputs, state)[0]

    return Work(case.task, last, 1, mesh)


def arguments(subject: Subject, mesh: Mesh) -> tuple[Any, ...]:
    """The first arguments of the case's work."""
    return work(subject, mesh).arguments(numbers(subject.cell, subject.case.shape))


@functools.lru_cache(maxsize=KEPT)
def executable(subject: Subject, mesh: Mesh) -> Executable:
    """The compiled work; kept, since the check of another task needs it too."""
    return work(subject, mesh).build(arguments(subject, mesh))


def check(subject: Subject, mesh: Mesh) -> Deviation:
    """The deviation of the last outputs and of the gradients from the reference.

    The gradients are those of the timed executable. A forward pass has none: they are those of a train step under the
    same recurrence. Raises ValueError for arrays of other shapes than those of the reference.
    """
    task = "train" if subject.case.task == "forward" else subject.case.task

    def answer(subject: Subject) -> Any:
        return work(subject, mesh).answer(executable(subject, mesh).compiled(*arguments(subject, mesh)))

    last, gradients = answer(subject.of("forward")), answer(subject.of(task))
    want = answers(subject.cell, subject.case.shape)
    return Deviation(deviation(last, want.last), deviation(gradients, want.gradients))


def tolerance(subject: Subject, platform: str) -> float:
    """The largest allowed deviation of the case.

    GPUs and TPUs multiply float32 matrices with fewer bits (at least those of bfloat16), unless JAX's
    `jax_default_matmul_precision` is set.
    """
    precision = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    full = platform == "cpu" or precision in ("float32", "highest")
    own = FLOAT32_TOLERANCE if subject.case.dtype == "float32" and full else BFLOAT16_TOLERANCE
    return allowed(own, answers(subject.cell, subject.case.shape))


def timed(ready: Sequence[tuple[Subject, Outcome]], mesh: Mesh, rounds: int) -> Iterator[Outcome]:
    """The outcomes with their speeds, from interleaved rounds of all cases and a matrix product."""
    try:
        product, product_flop = matrix_product(dtype=ready[0][1].case.dtype, mesh=mesh)
        steppers = {
            subject.case.recurrence: work(subject, mesh).stepper(
                executable(subject, mesh).compiled, arguments(subject, mesh)
            )
            for subject, _ in ready
        }
        fastest = min(float(seconds[0]) for seconds in interleaved(steppers, 1).values())
        steps = max(1, min(MOST_STEPS, round(TURN_SECONDS / fastest)))
        turns = {name: functools.partial(turn, call, steps) for name, call in steppers.items()}
        seconds = interleaved({PEAK: product, **turns}, rounds)
    except Exception as error:  # each of them ran alone: together they may need too much memory
        reason = f"while the group was timed: {described(error)}"
        yield from (dataclasses.replace(outcome, status="failed", reason=reason) for _, outcome in ready)
        return
    peak = product_flop / float(np.median(seconds[PEAK])) / 1e9
    for subject, outcome in ready:
        own = seconds[subject.case.recurrence]
        step = Spread.of(own / steps)
        gflop_per_second = subject.flop / step.middle / 1e9
        speed = Speed(
            round_seconds=(own / steps).tolist(),
            step_seconds=step,
            tokens_per_second=subject.case.batch * subject.case.time / step.middle,
            gflop_per_second=gflop_per_second,
            peak_gflop_per_second=peak,
            peak_share=gflop_per_second / peak,
            scan_ratio=Spread.of(own / seconds[BASELINE]) if BASELINE in seconds else None,
        )
        yield dataclasses.replace(outcome, speed=speed)


def turn(call: Callable[[], object], steps: int) -> None:
    """One round of a case: this many steps, each finished before the next one starts."""
    for _ in range(steps):
        jax.block_until_ready(call())
