"""`python -m experiments` lists all studies, each with its question, its command and its usual time."""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Sequence

import experiments
from rnnjax.commands import run


def main(arguments: Sequence[str]) -> None:
    """Prints the list. Raises ValueError for any argument but --help."""
    if list(arguments) in (["-h"], ["--help"]):
        print(__doc__)
        return
    if arguments:
        raise ValueError(f"options: expected none (a study runs by python -m experiments.NAME), got {arguments[0]!r}")
    for module in pkgutil.iter_modules(experiments.__path__):
        name = f"experiments.{module.name}.__main__" if module.ispkg else f"experiments.{module.name}"
        if importlib.util.find_spec(name) is None:
            continue
        experiment = getattr(importlib.import_module(name), "EXPERIMENT", None)
        if experiment is not None:
            print(f"{module.name}\n  {experiment.question}\n  {experiment.command}\n  {experiment.time}")


if __name__ == "__main__":
    run("experiments", lambda: main(sys.argv[1:]))
