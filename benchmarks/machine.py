"""The machine and the software on which a row was measured, and whether two rows can be compared."""

import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax

from rnnjax.runs import folder as run_folder

# What may differ between two runs that measure the same thing.
PASSING = ("time", "command")


def environment(packages: Iterable[str] = ()) -> dict[str, Any]:
    """The environment of a run, with the versions of these packages too, the processor, and the matmul precision."""
    facts = run_folder.environment()
    precision = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    versions = {**facts["versions"], **run_folder.versions(packages)}
    return {**facts, "versions": versions, "processor": processor(), "matmul_precision": precision}


def processor() -> str:
    """The processor's name, or at least its architecture."""
    listing = Path("/proc/cpuinfo")  # Linux
    found = re.search(r"model name\s*:\s*(.*\S)", listing.read_text(encoding="utf-8")) if listing.is_file() else None
    return found[1] if found else platform.processor() or platform.machine()


def lasting(environment: dict[str, Any]) -> dict[str, Any]:
    """The part of an environment that must agree if rows are to be compared."""
    return {name: value for name, value in environment.items() if name not in PASSING}


def difference(got: dict[str, Any], expected: dict[str, Any]) -> str | None:
    """The first field in which two dicts differ, in words, or None."""
    for name in {**expected, **got}:
        if got.get(name) != expected.get(name):
            return f"{name}: expected {expected.get(name)}, got {got.get(name)}"
    return None
