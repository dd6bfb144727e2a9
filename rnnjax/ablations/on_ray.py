"""Runs a study on a Ray cluster: one Ray task for each variant."""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence

from rnnjax.ablations.runner import Done, Task, train_task
from rnnjax.compat import FORKED
from rnnjax.extras import extra

with extra("ray", "executor 'ray'"):
    import ray  # pyright: ignore[reportMissingImports]


def on_ray(tasks: Sequence[Task]) -> Iterator[Done]:
    """Yields every task with its rows, in the order in which they finish; the longest tasks start first.

    A task takes one GPU if the cluster has any, and one core otherwise. An error in a task ends the study; the caller
    has the rows of the tasks before it.
    """
    # By default Ray lowers the priority of local workers, which would change the measured seconds.
    os.environ.setdefault("RAY_worker_niceness", "0")
    with warnings.catch_warnings():
        # The forked process starts another program immediately, so the threads of JAX cannot deadlock in it.
        warnings.filterwarnings("ignore", message=FORKED, category=RuntimeWarning)
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False, ignore_reinit_error=True)
    try:
        gpus = ray.cluster_resources().get("GPU", 0) > 0
        remote = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0)(train_task)
        waiting = {remote.remote(task): task for task in sorted(tasks, key=lambda task: -task.seconds)}
        while waiting:
            (ready, *_), _ = ray.wait(list(waiting))
            yield waiting.pop(ready), ray.get(ready)
    finally:
        ray.shutdown()
