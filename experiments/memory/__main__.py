"""Does a recurrent network remember, and for how long? Classic memory tasks, drawn on the device from a key.

Sources: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory"; Arjovsky, Shah and Bengio 2016, "Unitary Evolution
Recurrent Neural Networks"; for the others see `rnnjax/data/memory_tasks.py`.
Command: `python -m experiments.memory copy`.
"""

import sys
from dataclasses import replace
from pathlib import Path

from experiments.memory.config import Memory
from rnnjax.commands import Experiment, run, study_command

PROGRAM = "experiments.memory"
PREFIX = "memory-"
EXPERIMENT = Experiment(
    question="Does a recurrent network remember: adding, copying, recall, parity, order, digits pixel by pixel?",
    command=f"python -m {PROGRAM} [adding | copy | recall | parity | order | digits | smoke]",
    time="10 seconds (smoke) to 5 minutes (copy) on two cores",
)
REMEMBERING = Memory(cell="gru", chrono=True, hidden=64, batch_size=32, learning_rate=1e-2, schedule="linear")
PRESETS: dict[str, tuple[str, Memory]] = {
    "adding": ("Add the two marked numbers of 400.", replace(REMEMBERING, task="adding", hidden=48, updates=2000)),
    "copy": (
        "Repeat ten symbols after 100 blanks.",
        replace(REMEMBERING, task="copy", hidden=128, batch_size=16, updates=15_000),
    ),
    "recall": ("Repeat the first of 200 symbols.", replace(REMEMBERING, task="recall", updates=2000)),
    "parity": ("Is the number of ones in 100 bits odd?", replace(REMEMBERING, task="parity", updates=2000)),
    "order": ("The order of two symbols among 100.", replace(REMEMBERING, task="order", updates=2000)),
    "digits": (
        "Classify handwritten digits, one pixel per step.",
        replace(REMEMBERING, task="digits", updates=3000, stop=False),
    ),
    "smoke": (
        "Seconds: shows that everything runs.",
        replace(REMEMBERING, task="recall", time=5, hidden=16, updates=500, learning_rate=0.03),
    ),
}


def study(config: Memory, name: str) -> Path:
    """Trains, prints the results, draws the figure, and returns the path of the run folder.

    Raises DivergedError at the end if all seeds diverged.
    """
    import jax
    from tqdm import tqdm

    from experiments.memory.results import after, block_line, draw, read_results, result_line, result_table
    from experiments.memory.train import initial_states, objective, train
    from rnnjax.runs import Session
    from rnnjax.training.devices import seed_mesh
    from rnnjax.training.divergence import ADVICE, DivergedError

    task, seeds = config.problem(), range(config.seed, config.seed + config.seeds)
    devices = config.execution.devices
    mesh = seed_mesh(config.seeds, devices)
    jax.eval_shape(lambda: task.sample(jax.random.key(0), 1))  # its data are there, before a run folder is made
    with Session(PROGRAM, name, config) as session:
        print(
            f"{config.task}, T={task.time}, {task.steps} steps: {config.layers} x {config.cell}-{config.hidden}\n"
            f"{config.seeds} seeds on {mesh.size} devices, at most {config.updates:,} updates of {config.batch_size} "
            f"sequences\nsolved: {task.criterion}, on sequences not used for training"
        )
        session.begin(objective(config))
        first = initial_states(config, seeds, devices)
        state = session.restore(first, config.updates // config.block, "blocks", finite=False)
        lines = session.lines("epoch")
        results = read_results(lines, seeds)

        def settled() -> bool:
            return config.stop and all(result.settled for result in results)

        with tqdm(total=config.updates, initial=session.step, unit="update", disable=None, dynamic_ncols=True) as bar:
            for block in train(config, seeds, devices, state, session.fit_blocks, settled):
                results = after(block, task, results)
                lines.append(block_line(block, results, session.block_seconds))
                session.log.epoch(block.updates, lines[-1])
                words = ", ".join(
                    f"{loss:.3g} ({score:.3f})" for loss, score in zip(block.losses, block.scores, strict=True)
                )
                bar.set_postfix_str(f"loss (score) {words}", refresh=False)
                bar.update(config.block)
        for result in results:
            session.log.line("result", result_line(result))
        print(f"\n{result_table(task, results)}\n{session.seconds:.1f} s")
        session.log.figure(session.step, "learning_curves", lambda: draw(config, lines, results))
        print(f"run folder {session.path}")
        if all(result.diverged is not None for result in results):
            raise DivergedError(f"expected a seed that does not diverge, got {len(results)} that did; {ADVICE}")
    return session.path


main = study_command(PRESETS, "copy", PROGRAM, PREFIX, study)

if __name__ == "__main__":
    run(PROGRAM, lambda: main(sys.argv[1:]))
