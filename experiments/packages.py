"""The packages that studies and benchmarks import, of the extra `experiments`."""

from collections.abc import Sequence

PACKAGES = ("datasets", "tokenizers", "pyarrow", "pandas", "filelock", "tensorboardX", "matplotlib", "tyro", "tqdm")


def check_packages(command: Sequence[str]) -> None:
    """Ends the command with one line, status 1, where one of them is not installed."""
    from rnnjax.extras import require  # which imports JAX: whoever imports this module may have to come before that

    program = command[command.index("-m") + 1] if "-m" in command[:-1] else "experiments"
    try:
        for package in PACKAGES:
            require(package, "experiments", program)
    except ModuleNotFoundError as error:
        raise SystemExit(str(error)) from None
