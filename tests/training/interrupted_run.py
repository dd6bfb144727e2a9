"""A small training as a program of its own, to be killed: `python interrupted_run.py FOLDER [OPTIONS as JSON]`.

With `kill` it sends itself that signal, at a moment that `at` names; it prints nothing.
"""

import json
import os
import sys
import time
from pathlib import Path

import jax
from toy import make_batch, make_model, make_objective, make_params

from rnnjax.runs import Checkpoints
from rnnjax.runs import checkpoints as checkpoints_module
from rnnjax.training import Interrupted, Optimizer, StopSignals, TrainState, batch_mesh, eval_step, fit, train_step

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_disable_most_optimizations", True)

EPOCHS, BATCHES = 3, 6
STEPS = EPOCHS * BATCHES


def train(folder: Path, *, resume: bool, kill: int | None, at: str, step: int) -> None:
    """Trains, each step's numbers a line of `log`, the last parameters' bytes in `params`."""
    objective, mesh = make_objective(make_model()), batch_mesh()
    optimizer = Optimizer(learning_rate=1e-2, schedule="cosine").transformation(STEPS)
    state = TrainState.create(make_params(make_model()), optimizer, jax.random.key(3))
    position = None

    def die() -> None:
        if kill is not None:
            os.kill(os.getpid(), kill)

    if at == "writing":
        # Somewhere between the first file of a checkpoint and its last.
        seal = checkpoints_module.seal

        def sealed(path: Path) -> None:
            if f"step{step:08d}" in path.name:
                die()
                time.sleep(60)
            seal(path)

        checkpoints_module.seal = sealed

    lines = []
    log = folder / "log"
    with Checkpoints(folder / "checkpoints", steps=4) as checkpoints, StopSignals() as stop:
        if resume:
            state, position = checkpoints.restore(state)
            lines = [line for line in log.read_text().splitlines() if json.loads(line)["step"] <= position.step]
            log.write_text("".join(f"{line}\n" for line in lines))
        with log.open("a", buffering=1) as opened:

            def watch(report) -> None:
                opened.write(
                    json.dumps({"step": report.step, "loss": report.loss, "norm": report.gradient_norm}) + "\n"
                )
                if at == "step" and report.step == step:
                    die()

            reports = fit(
                state,
                train_step(objective, optimizer, mesh, clip=1.0),
                eval_step(objective, mesh),
                lambda epoch, first: (make_batch(10 * epoch + i) for i in range(first, BATCHES)),
                lambda: [make_batch(90), make_batch(91)],
                EPOCHS,
                watch,
                position=position,
                checkpoints=checkpoints,
                stop=stop,
            )
            for state, report in reports:
                epoch = {"step": report.step, "epoch": report.epoch, "train": report.train.loss, "best": report.best}
                opened.write(json.dumps({**epoch, "accuracy": report.validation["accuracy"]}) + "\n")
                leaves = jax.tree.leaves(jax.device_get(state.params))
                (folder / "params").write_bytes(b"".join(leaf.tobytes() for leaf in leaves))


def main() -> None:
    options = {"resume": False, "kill": None, "at": "step", "step": 0}
    options |= json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    try:
        train(folder, **options)
    except Interrupted as stopped:
        raise SystemExit(128 + stopped.signal) from None


if __name__ == "__main__":
    main()
