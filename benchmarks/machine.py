"""The machine and the software that a row was measured on, and whether two rows may stand side by side."""

import importlib.metadata
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax

from rnnjax.runs import folder as run_folder

# What differs between two runs that measure the same thing.
PASSING = ("time", "command")


def environment(packages: Iterable[str] = ()) -> dict[str, Any]:
    """A run's environment, with the processor's name and the precision of matrix products where one is set.

    Its versions are those of these packages, too: None where one is not installed.
    """
    facts = run_folder.environment()
    for package in set(packages) - set(facts["versions"]):
        try:
            facts["versions"][package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            facts["versions"][package] = None
    precision = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    return {**facts, "processor": processor(), "matmul_precision": precision}


def processor() -> str:
    """The processor's name, or at least its architecture."""
    listing = Path("/proc/cpuinfo")  # Linux
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def lasting(environment: dict[str, Any]) -> dict[str, Any]:
    """The part of an environment that must agree where rows are to be compared."""
    return {name: value for name, value in environment.items() if name not in PASSING}


def difference(got: dict[str, Any], expected: dict[str, Any]) -> str | None:
    """The first field in which two dicts differ, in words, or None."""
    for name in {**expected, **got}:
        if got.get(name) != expected.get(name):
            return f"{name}: expected {expected.get(name)}, got {got.get(name)}"
    return None
