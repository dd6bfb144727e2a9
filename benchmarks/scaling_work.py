"""One process of `benchmarks.scaling`: the train step of a classifier, its all-reduce, and its batches.

`python -m benchmarks.scaling_work CASES PROCESS PORT`; the first process prints a line of JSON for every case.
"""

import dataclasses
import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks.epochs.ours import train_step_of
from benchmarks.timing import Spread, interleaved, repeated
from rnnjax import LSTM, RNN, Bidirectional, SequenceClassifier
from rnnjax.data import Plan, Sequences, collate
from rnnjax.training import batch_mesh, use_cpu_cores
from rnnjax.training.compiled import CompiledStep
from rnnjax.training.devices import AXIS
from rnnjax.training.processes import is_first, join

VOCABULARY, EMBEDDING = 20_000, 64


@dataclasses.dataclass(frozen=True)
class Case:
    """One size of the bidirectional LSTM of the sentiment study, on some devices of some processes."""

    time: int
    hidden: int
    batch: int
    processes: int
    devices: int
    rounds: int

    @property
    def spread(self) -> tuple[int, int]:
        return self.processes, self.devices


def measure(case: Case) -> dict[str, Any]:
    """Quartiles of the milliseconds of a train step, an all-reduce and a batch, and the bytes of the all-reduce.

    The three are timed in interleaved rounds, on a mesh of all devices of all processes.
    """
    mesh = batch_mesh(case.devices)
    layer = Bidirectional(RNN(LSTM(), case.hidden), RNN(LSTM(), case.hidden))
    model = SequenceClassifier(VOCABULARY, EMBEDDING, layer, pooling="max")
    params = model.init(jax.random.key(0), jnp.zeros((1, 1), jnp.int32))["params"]
    step, state = train_step_of(model, params, 1e-6, mesh, clip=1.0)
    random = np.random.default_rng(0)
    texts = Sequences.of(random.integers(2, VOCABULARY, (4 * case.batch, case.time)))
    own = case.batch // case.processes
    part = slice(jax.process_index() * own, (jax.process_index() + 1) * own)
    labels = random.integers(0, 2, len(texts)).astype(np.int32)

    def make_batch() -> Any:
        plan = Plan(random.permutation(len(texts))[: case.batch], case.time)
        return collate(texts, labels, plan, case.batch, part=part)

    step_call = repeated(step, state, step.put(make_batch()))
    calls = {"step": step_call, "reduce": all_reduce(params, mesh, step), "batch": make_batch}
    milliseconds = {name: Spread.of(1e3 * values) for name, values in interleaved(calls, case.rounds).items()}
    bytes_reduced = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    return {**vars(case), "texts": case.batch, "bytes": bytes_reduced, **milliseconds}


def all_reduce(params: Any, mesh: Mesh, step: CompiledStep) -> Any:
    """A call that sums a tree like the gradient over the devices; its result is checked."""
    ones = step.replicate(jax.tree.map(np.ones_like, params))
    whole = PartitionSpec()

    def local(tree: Any) -> Any:
        return jax.lax.psum(jax.lax.pcast(tree, AXIS, to="varying"), AXIS)

    reduce = jax.jit(
        jax.shard_map(local, mesh=mesh, in_specs=whole, out_specs=whole), out_shardings=NamedSharding(mesh, whole)
    )
    for leaf in jax.tree.leaves(reduce(ones)):
        if not (np.asarray(leaf) == mesh.size).all():
            raise ValueError(f"all-reduce: expected {mesh.size} everywhere, got other numbers")
    return lambda: reduce(ones)


def main(cases: list[Case], process: int, port: int) -> None:
    """Measures the cases, which have the same processes and devices."""
    processes, devices = cases[0].spread
    use_cpu_cores(devices)
    if processes > 1:
        join(f"127.0.0.1:{port}", processes, process)
    for case in cases:
        row = measure(case)
        if is_first():
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main([Case(**case) for case in json.loads(sys.argv[1])], int(sys.argv[2]), int(sys.argv[3]))
