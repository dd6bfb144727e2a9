"""Is a restaurant sentence positive? A one-unit Elman net, a bidirectional GRU and a bag of words, cross-validated.

Data: 1,000 labelled sentences, Kotzias et al. 2015, "From Group to Individual Labels Using Deep Features".
Command: `python -m experiments.restaurant yelp_labelled.txt`.
"""

import functools
import sys

from experiments.restaurant.options import Restaurant
from rnnjax.commands import Experiment, parse, run
from rnnjax.lazy import deferred

PROGRAM = "experiments.restaurant"
EXPERIMENT = Experiment(
    question="Is a restaurant sentence positive, for one recurrent unit, a bidirectional GRU and a bag of words?",
    command=f"python -m {PROGRAM} FILE",
    time="about 1 minute on two cores for 1,000 sentences",
)
compare = deferred("experiments.restaurant.study", "compare")


def main(arguments: list[str]) -> None:
    """Runs the study with the options in the arguments."""
    options = parse(Restaurant, PROGRAM, arguments)
    options.execution.begin(options)
    compare(options)


if __name__ == "__main__":
    run(PROGRAM, functools.partial(main, sys.argv[1:]))
