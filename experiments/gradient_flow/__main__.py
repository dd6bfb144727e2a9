"""How far back does a gradient reach? Vanishing and exploding gradients, and the effect of clipping.

Sources: Hochreiter 1991; Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013, "On the
difficulty of training recurrent neural networks".
Command: `python -m experiments.gradient_flow`. A minute on two cores.
"""

import functools
import sys

from experiments.gradient_flow.config import GradientFlow
from rnnjax.commands import Experiment, parse, run
from rnnjax.lazy import deferred

PROGRAM = "experiments.gradient_flow"
EXPERIMENT = Experiment(
    question="How far back does a gradient reach, and what does clipping change?",
    command=f"python -m {PROGRAM} [--scales 0.5 1 1.5]",
    time="a minute on two cores",
)
study = deferred("experiments.gradient_flow.study", "study")


def main(arguments: list[str]) -> None:
    """Runs the study with the options in the arguments."""
    config = parse(GradientFlow, PROGRAM, arguments)
    config.execution.begin(config)
    study(config)


if __name__ == "__main__":
    run(PROGRAM, functools.partial(main, sys.argv[1:]))
