"""Finds the run that a command resumes, and checks that its config, data and vocabulary are the same."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnjax.files import path_of
from rnnjax.runs.execution import as_json, settings
from rnnjax.runs.folder import CHECKPOINTS, CONFIG, MAY_CHANGE, METRICS, STATUS, RunFolder, read_object
from rnnjax.untrusted import kind_of

NEWEST = "newest"
MISSING = object()
FINGERPRINTS = {"fingerprint": "data", "held_out": "held-out part", "text": "text"}


def with_newest(arguments: Sequence[str]) -> list[str]:
    """The arguments, with `--resume=newest` in place of `--resume` without a path."""
    filled = list(arguments)
    for i, argument in enumerate(arguments):
        if argument == "--resume" and (i + 1 == len(arguments) or arguments[i + 1].startswith("-")):
            filled[i] = f"--resume={NEWEST}"
    return filled


def resumed_run(arguments: Sequence[str]) -> Path | None:
    """The run folder in `--resume PATH`; None without a path."""
    for i, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--resume":
            value = value or (arguments[i + 1] if i + 1 < len(arguments) else "")
            return None if value == NEWEST else path_of(value)
    return None


def newest_run(experiment: str, config: Any, folder: Path = Path("runs")) -> Path:
    """The run of this config that was written to last. Raises FileNotFoundError if there is none."""
    wanted = as_json({"experiment": experiment, **settings(config)})
    found = []
    for file in folder.glob(f"[!.]*/{CONFIG}"):
        if kind_of(file.parent) != "a folder":
            continue  # a link points to a run of another name
        try:
            values, written = read_object(file), _written(file.parent)
        except (ValueError, OSError):
            continue  # not a run folder, or not readable
        if all(values.get(name) == value for name, value in wanted.items() if name not in MAY_CHANGE):
            found.append((written, file.parent))
    if not found:
        raise FileNotFoundError(f"resume: expected a run of this config under {folder}, found none")
    return max(found)[1]


def _written(run: Path) -> float:
    """The time at which a run was last written to. Lock files are ignored: listing runs touches them."""
    return max(path.stat().st_mtime for name in (CONFIG, STATUS, METRICS) if (path := run / name).is_file())


def check_resumable(folder: RunFolder, experiment: str, config: Any) -> bool:
    """Whether the run has a checkpoint; it has none if it was stopped before its first step.

    Raises ValueError for a run of another config or a damaged one, FileNotFoundError if its checkpoints are missing.
    """
    from rnnjax.runs.checkpoints import find_checkpoints

    path = folder.path
    # The first checkpoint is written before the first line: a run without both was stopped before its first step.
    resumed = bool(find_checkpoints(path / CHECKPOINTS))
    metrics = path / METRICS
    if not resumed and metrics.exists() and metrics.stat().st_size:
        raise FileNotFoundError(
            f"{path}: expected checkpoints to resume from, found none: they were removed; start a new run"
        )
    asked = {"experiment": experiment, **settings(config)}
    check_same(path, {name: value for name, value in folder.config().items() if name in asked}, asked)
    folder.read_environment()
    return resumed


def check_same(path: Path, then: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises ValueError, which lists all differences, if the config of a run differs from the config to resume with."""
    now = as_json(now)
    differing = [
        f"the {FINGERPRINTS[name]} has changed"
        if name in FINGERPRINTS
        else f"{name} was {then.get(name, 'not there')!r} and is {now.get(name, 'not there')!r}"
        for name in dict.fromkeys([*now, *then])
        if name not in MAY_CHANGE and then.get(name, MISSING) != now.get(name, MISSING)
    ]
    if differing:
        raise ValueError(f"{path}: expected the config of the run to resume it, got another: {'; '.join(differing)}")
