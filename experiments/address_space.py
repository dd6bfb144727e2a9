"""Whether `ulimit -v` leaves a command the addresses that it needs; imports nothing that needs many."""

import os
import resource
from collections.abc import Sequence

# Measured on two cores: the smoke run of `sentiment` fails with 3.1 GiB and ends well with 3.4. A core more has a
# thread more in each of several pools, each with a stack and, by glibc, an arena.
LEAST_BYTES = 3584 * 2**20
BYTES_A_CORE = 160 * 2**20


def check_address_space(command: Sequence[str]) -> None:
    """Ends the command with one line, status 1, where its limit is lower than any of them needs."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    needed = LEAST_BYTES + BYTES_A_CORE * max((os.cpu_count() or 1) - 2, 0)
    if limit != resource.RLIM_INFINITY and limit < needed:
        program = command[command.index("-m") + 1] if "-m" in command[:-1] else "experiments"
        raise SystemExit(
            f"{program}: expected at least {needed // 1024:,} KiB of address space (ulimit -v), got {limit // 1024:,}"
        )
