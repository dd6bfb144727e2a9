"""How fast is a train step under each recurrence? `python -m benchmarks.throughput`.

Every recurrence runs the same cell on the same numbers, in one process. Each one's gradients are compared with
those of `Scan` before anything is timed; then the steps are timed in turn, round after round, so that drift of the
machine hits all alike. What is printed is the median time and the median of the per-round ratios to `Scan`.
"""

import dataclasses
import platform
import sys
import time
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax.sharding import PartitionSpec as P

from rnnjax import GRU, LSTM, Chunked, Elman, PointwiseCell, Recurrence, Scan, Unrolled
from rnnjax.training import batch_mesh, use_cpu_cores

CELLS: dict[str, PointwiseCell] = {"elman": Elman(), "lstm": LSTM(), "gru": GRU()}
RECURRENCES: dict[str, Recurrence] = {
    "Scan()": Scan(),
    "Scan(unroll=4)": Scan(unroll=4),
    "Unrolled()": Unrolled(),
    "Chunked(10)": Chunked(10),
    "Chunked(20)": Chunked(20),
    "Chunked(40)": Chunked(40),
}
# Largest relative deviation of a gradient from that of Scan; measured at T=500: 2e-6.
GRADIENT_TOLERANCE = 2e-5


@dataclasses.dataclass(frozen=True)
class Case:
    """Time a train step under each recurrence, as a ratio to Scan."""

    cell: Literal["elman", "lstm", "gru"] = "lstm"
    """What happens at one step."""
    batch: int = 64
    """Sequences of a batch."""
    time: int = 500
    """Steps of a sequence."""
    input: int = 32
    """Input features."""
    hidden: int = 100
    """Hidden features."""
    rounds: int = 9
    """Rounds; in each one every recurrence runs once."""
    devices: int | None = None
    """Devices that share the batch; all of them (CPU cores included) unless given."""
    unrolled_limit: int = 64
    """Longest time that Unrolled is compiled for: its compile time grows with T."""

    def __post_init__(self):
        for name in ("batch", "time", "input", "hidden", "rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")


def gradient_step(case: Case, recurrence: Recurrence) -> jax.stages.Wrapped:
    """The gradient of a squared error on the final state, the batch split over the devices."""
    cell = CELLS[case.cell]

    def loss(params: Any, inputs: jax.Array, target: jax.Array) -> jax.Array:
        _, final = recurrence(cell, params, inputs, cell.init_state(inputs.shape[1], case.hidden))
        return ((final.hidden - target) ** 2).sum() / case.batch

    def local(params: Any, inputs: jax.Array, target: jax.Array) -> Any:
        params = jax.lax.pcast(params, "batch", to="varying")
        return jax.lax.psum(jax.grad(loss)(params, inputs, target), "batch")

    specs = (P(), P(None, "batch"), P("batch"))
    return jax.jit(jax.shard_map(local, mesh=batch_mesh(case.devices), in_specs=specs, out_specs=P()))


def deviation(got: Any, want: Any) -> float:
    """The largest difference of two trees, relative to the largest number of each array."""
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True)
    return max(float(jnp.abs(a - b).max() / jnp.abs(b).max()) for a, b in pairs)


def measure(case: Case) -> dict[str, tuple[float, np.ndarray] | str]:
    """For each recurrence (compile seconds, step seconds of every round), or why there is none.

    Raises ValueError where a recurrence's gradients are not those of Scan.
    """
    devices = batch_mesh(case.devices).size
    if case.batch % devices:
        raise ValueError(f"batch: expected a multiple of {devices} devices, got {case.batch}")
    keys = jax.random.split(jax.random.key(0), 3)
    arguments = (
        CELLS[case.cell].init_params(keys[0], case.input, case.hidden),
        jax.random.normal(keys[1], (case.time, case.batch, case.input)),
        jax.random.normal(keys[2], (case.batch, case.hidden)),
    )
    rows: dict[str, tuple[float, np.ndarray] | str] = {}
    steps, compiled, want = {}, {}, None
    for name, recurrence in RECURRENCES.items():
        if isinstance(recurrence, Unrolled) and case.time > case.unrolled_limit:
            rows[name] = f"not compiled above T={case.unrolled_limit}"
            continue
        start = time.perf_counter()
        steps[name] = gradient_step(case, recurrence).lower(*arguments).compile()
        compiled[name] = time.perf_counter() - start
        got = jax.device_get(steps[name](*arguments))
        want = got if want is None else want
        if not deviation(got, want) <= GRADIENT_TOLERANCE:
            raise ValueError(f"{name}: expected the gradients of Scan, got a deviation of {deviation(got, want):.1e}")
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(case.rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            jax.block_until_ready(step(*arguments))
            seconds[name].append(time.perf_counter() - start)
    return {**{name: (compiled[name], np.array(seconds[name])) for name in steps}, **rows}


def report(case: Case) -> str:
    """The measured rows as a Markdown table."""
    rows = measure(case)
    baseline = rows["Scan()"]
    assert not isinstance(baseline, str)  # Scan is always measured
    lines = [
        f"{case.cell}, B={case.batch} T={case.time} I={case.input} H={case.hidden}, float32 gradient step, "
        f"{batch_mesh(case.devices).size} {jax.devices()[0].platform} devices, {case.rounds} rounds; "
        f"jax {jax.__version__}, Python {platform.python_version()}",
        "",
        "| recurrence | compile s | step ms | ratio to Scan (quartiles) |",
        "|---|---|---|---|",
    ]
    for name in RECURRENCES:
        row = rows[name]
        if isinstance(row, str):
            lines.append(f"| `{name}` | | | {row} |")
            continue
        compile_seconds, seconds = row
        low, middle, high = np.quantile(seconds / baseline[1], (0.25, 0.5, 0.75))
        lines.append(
            f"| `{name}` | {compile_seconds:.1f} | {1e3 * np.median(seconds):.1f} "
            f"| {middle:.2f} ({low:.2f} to {high:.2f}) |"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Prints the table of the case that the arguments give."""
    case = tyro.cli(Case, prog="python -m benchmarks.throughput", args=arguments)
    try:
        use_cpu_cores(case.devices)
        print(report(case))
    except ValueError as error:
        raise SystemExit(f"benchmarks.throughput: {error}") from None


if __name__ == "__main__":
    main(sys.argv[1:])
