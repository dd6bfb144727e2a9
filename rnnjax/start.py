"""The start of a command, `python -m PACKAGE.NAME`: its checks come before the import of JAX.

A package of commands sets `__commands__ = True` in its `__init__.py` and then imports rnnjax. For all others this
module does nothing.
"""

import os
import signal
import sys
import types
from collections.abc import Sequence

from rnnjax.extras import require

# The packages that commands import, from the extra `experiments`.
PACKAGES = ("datasets", "tokenizers", "pyarrow", "pandas", "filelock", "tensorboardX", "matplotlib", "tyro", "tqdm")
# Measured on two cores: the smoke run of `sentiment` fails with 3.1 GiB and passes with 3.4. A further core adds a
# thread to each of several pools, each with a stack and, in glibc, an arena.
LEAST_BYTES = 3584 * 2**20
BYTES_PER_CORE = 160 * 2**20


def program(command: Sequence[str]) -> str | None:
    """The module that `python ... -m MODULE` runs, or None."""
    for word, after in zip(command, [*command[1:], ""], strict=True):
        if word.startswith("-m"):
            return word[2:] or after
    return None


# Whether this process is a command that has begun.
begun = False


def begin(name: str) -> None:
    """Prepares the start of the command with this name. It ends with one line, status 1, where it cannot run."""
    global begun
    begun = True

    def stop(number: int, frame: types.FrameType | None) -> None:
        """Ends the command without a traceback during the imports; `rnnjax.commands.run` then takes over."""
        os.write(2, f"{name}: stopped by {signal.Signals(number).name}\n".encode())
        os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    check_address_space(name)
    check_packages(name)


def check_address_space(name: str) -> None:
    """Ends the command where `ulimit -v` is too low: libraries without room for a thread end with no clear message."""
    import resource  # which Windows does not have

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    needed = LEAST_BYTES + BYTES_PER_CORE * max((os.cpu_count() or 1) - 2, 0)
    if limit != resource.RLIM_INFINITY and limit < needed:
        raise SystemExit(
            f"{name}: expected at least {needed // 1024:,} KiB of address space (ulimit -v), got {limit // 1024:,}"
        )


def check_packages(name: str) -> None:
    """Ends the command where one of the packages is not installed."""
    try:
        for package in PACKAGES:
            require(package, "experiments", name)
    except ModuleNotFoundError as error:
        raise SystemExit(str(error)) from None


if sys.argv[:1] == ["-m"]:  # Python imports the package of the command; the command itself comes later
    _name = program(sys.orig_argv) or ""
    if getattr(sys.modules.get(_name.partition(".")[0]), "__commands__", False):
        begin(_name)
