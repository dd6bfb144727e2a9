"""One process's part of `benchmarks.scaling`: a classifier's train step, what it reduces, and the batches it needs.

`python -m benchmarks.scaled.work CASES PROCESS PORT` prints a line of JSON for every case, from the first process.
"""

import dataclasses
import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks.timing import Spread, interleaved, repeated
from rnnjax import LSTM, RNN, Bidirectional, SequenceClassifier
from rnnjax.data import Plan, Sequences, collate
from rnnjax.training import Optimizer, TrainState, batch_mesh, classification, train_step, use_cpu_cores
from rnnjax.training.compiled import CompiledStep
from rnnjax.training.devices import AXIS
from rnnjax.training.processes import is_first, join

VOCABULARY, EMBEDDING = 20_000, 64


@dataclasses.dataclass(frozen=True)
class Case:
    """One size of the network of `experiments.sentiment`, on some devices of some processes."""

    time: int
    hidden: int
    batch: int
    processes: int
    devices: int
    rounds: int

    @property
    def spread(self) -> tuple[int, int]:
        """Cases of the same processes and devices share them."""
        return self.processes, self.devices


def measure(case: Case) -> dict[str, Any]:
    """Quartiles of the train step's, the all-reduce's and the batch's milliseconds, and the bytes reduced.

    All of the three are timed in turn, on a mesh of all devices of all processes.
    """
    mesh = batch_mesh(case.devices)
    layer = Bidirectional(RNN(LSTM(), case.hidden), RNN(LSTM(), case.hidden))
    model = SequenceClassifier(VOCABULARY, EMBEDDING, layer, pooling="max")
    params = model.init(jax.random.key(0), jnp.zeros((1, 1), jnp.int32))["params"]

    def logits(params: Any, *args: Any, **options: Any) -> Any:
        return model.apply({"params": params}, *args, **options)

    objective = classification(logits, 2)
    optimizer = Optimizer(learning_rate=1e-6).transformation(1)
    step = train_step(objective, optimizer, mesh, clip=1.0)
    random = np.random.default_rng(0)
    texts = Sequences.of(random.integers(2, VOCABULARY, (4 * case.batch, case.time)))
    own = case.batch // case.processes
    part = slice(jax.process_index() * own, (jax.process_index() + 1) * own)
    labels = random.integers(0, 2, len(texts)).astype(np.int32)

    def make_batch() -> Any:
        return collate(
            texts, labels, Plan(random.permutation(len(texts))[: case.batch], case.time), case.batch, part=part
        )

    batch = step.put(make_batch())
    state = step.replicate(TrainState.create(params, optimizer, jax.random.key(1)))
    calls = {"step": repeated(step, state, batch), "reduce": all_reduce(params, mesh, step), "batch": make_batch}
    seconds = interleaved(calls, case.rounds)
    bytes_reduced = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    spreads = {name: Spread.of(1e3 * values) for name, values in seconds.items()}
    sizes = {name: value for name, value in dataclasses.asdict(case).items() if name != "batch"}
    return {**sizes, "texts": case.batch, "bytes": bytes_reduced, **{name: list(s) for name, s in spreads.items()}}


def all_reduce(params: Any, mesh: Mesh, step: CompiledStep) -> Any:
    """The sum over devices of a tree like the gradient, by itself. Its every element must be the devices' number."""
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
    """Measures the cases, all of the same processes and devices."""
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
