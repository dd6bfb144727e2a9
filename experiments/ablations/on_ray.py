"""A study on the machines of a Ray cluster: one task a variant."""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence

from experiments.ablations.runner import Done, Task, train_task
from rnnjax.compat import FORKED
from rnnjax.extras import extra

with extra("ray", "executor 'ray'"):
    import ray  # pyright: ignore[reportMissingImports]


def on_ray(tasks: Sequence[Task], seconds: Sequence[float]) -> Iterator[Done]:
    """Every task with its rows, as they come; the longest are handed out first.

    A task takes a machine's share of one GPU where there are any, and of one core otherwise. What a task raises ends
    the study; rows that came before are kept by whoever reads them.
    """
    # Ray has the workers of a cluster that it starts give way to all else on the machine, but rows have seconds.
    os.environ.setdefault("RAY_worker_niceness", "0")
    with warnings.catch_warnings():
        # What is forked here becomes another program at once: JAX's threads are not missed.
        warnings.filterwarnings("ignore", message=FORKED, category=RuntimeWarning)
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False, ignore_reinit_error=True)
    try:
        gpus = ray.cluster_resources().get("GPU", 0) > 0
        remote = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0)(train_task)
        order = sorted(range(len(tasks)), key=lambda number: -seconds[number])
        waiting = {remote.remote(tasks[number]): tasks[number] for number in order}
        while waiting:
            (ready, *_), _ = ray.wait(list(waiting))
            yield waiting.pop(ready), ray.get(ready)
    finally:
        ray.shutdown()
