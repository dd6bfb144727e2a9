"""What does each choice change? Variants of one config with several seeds each, in a table with intervals.

Commands: `python -m experiments.ablations` lists the studies, `python -m experiments.ablations STUDY` runs one.
"""

import functools
import sys

from experiments.ablations.command import PROGRAM, run_studies
from experiments.ablations.studies import STUDIES
from rnnjax.commands import run

main = functools.partial(run_studies, STUDIES)

if __name__ == "__main__":
    run(PROGRAM, functools.partial(main, sys.argv[1:]))
