"""How a run is carried out: options that training studies share, none of which belongs to what is computed."""

import dataclasses
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnjax.commands import check_fields
from rnnjax.training import use_cpu_cores
from rnnjax.training.processes import join
from rnnjax.training.run_folder import CONFIG, METRICS, STATUS, read_object

NEWEST = "newest"
EXECUTION = "execution"
# What a resumed run keeps of these options, and what it is unless anybody says so.
KEPT = ("checkpoint_minutes", "checkpoint_steps", "keep", "tensorboard", "histograms")
DEFAULTS = {"checkpoint_minutes": 10.0, "keep": 2, "tensorboard": True}
# What of a config may be another one when a run is resumed; all of Execution may.
MAY_CHANGE = ("epochs", "patience")
# Where the data lies may change too: whether it is the same data is told by a fingerprint of its content.
PLACES = ("source", "file")
FINGERPRINTS = {"fingerprint": "data", "held_out": "held-out part", "text": "text"}


@dataclasses.dataclass(frozen=True)
class Execution:
    """What may differ when a run is resumed."""

    run_folder: Path | None = None
    """Where the run is written: runs/ and its name and time, unless given."""
    resume: Path | None = None
    """A run folder to go on with, under its own config where no preset is named; without a path, the newest run of
    this config."""
    checkpoint_minutes: float | None = None
    """Write a checkpoint at least this often, besides after each epoch: every 10 minutes, unless given. What this and
    the next four say holds for a resumed run, too, unless it is told otherwise."""
    checkpoint_steps: int | None = None
    """Write one after every so many steps, too."""
    keep: int | None = None
    """Newest checkpoints kept, 2 unless given; that of the best epoch stays in any case."""
    tensorboard: bool = True
    """Write event files for TensorBoard, too; a run that was begun without them stays without."""
    histograms: int | None = None
    """Add histograms of every gradient to them, after every so many steps."""
    debug_nans: bool = False
    """Where a loss or gradient is not finite, name the first operation that made it so."""
    devices: int | None = None
    """Devices of this process that share a batch; all of them (CPU cores included) unless given."""
    distributed: bool = False
    """Train together with other processes that run this command; a cluster's scheduler is asked who they are."""
    coordinator: str | None = None
    """HOST:PORT of process 0, where no scheduler knows."""
    processes: int | None = None
    """How many processes there are, where no scheduler knows."""
    process: int | None = None
    """Which one this is, from 0, where no scheduler knows."""

    def __post_init__(self):
        check_fields(
            self,
            at_least_one=("checkpoint_steps", "keep", "histograms", "devices", "processes"),
            above_zero=("checkpoint_minutes",),
        )
        if not self.distributed and (self.coordinator, self.processes, self.process) != (None, None, None):
            raise ValueError("coordinator, processes, process: expected --distributed with them")
        if self.resume is not None and self.run_folder is not None:
            raise ValueError("run_folder: expected none with --resume, which goes on in the run's own folder")

    def kept(self) -> dict[str, Any]:
        """What a run notes of these options, for who goes on with it."""
        return {name: getattr(self, name) for name in KEPT}

    def filled(self, own: Any) -> "Execution":
        """These options; what was left open is as the run had it before (`kept`), or else the default.

        Raises ValueError where a run's own are not such options.
        """
        if not isinstance(own, dict):
            raise ValueError(f"{EXECUTION}: expected an object, got {reprlib.repr(own)}")
        own = DEFAULTS | {name: value for name, value in own.items() if name in KEPT and value is not None}
        chosen = {name: own.get(name) for name in KEPT if getattr(self, name) is None}
        # Checked before it is combined: it may be a stranger's.
        tensorboard = dataclasses.replace(self, **chosen, tensorboard=own["tensorboard"]).tensorboard
        return dataclasses.replace(self, **chosen, tensorboard=self.tensorboard and tensorboard)

    def begin(self) -> None:
        """Fixes the devices, and joins the other processes; must come before the first computation."""
        use_cpu_cores(self.devices)
        if self.distributed:
            join(self.coordinator, self.processes, self.process)


def settings(config: Any) -> dict[str, Any]:
    """What a config says of the computation itself."""
    return {name: value for name, value in dataclasses.asdict(config).items() if name != EXECUTION}


def with_newest(arguments: Sequence[str]) -> list[str]:
    """The arguments, `--resume` without a path made to name the newest run."""
    filled = list(arguments)
    for i, argument in enumerate(arguments):
        if argument == "--resume" and (i + 1 == len(arguments) or arguments[i + 1].startswith("-")):
            filled[i] = f"--resume={NEWEST}"
    return filled


def resumed_run(arguments: Sequence[str]) -> Path | None:
    """The run folder that the arguments name for resuming."""
    for i, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--resume":
            value = value or (arguments[i + 1] if i + 1 < len(arguments) else "")
            return None if value == NEWEST else Path(value)
    return None


def newest_run(experiment: str, config: Any, folder: Path = Path("runs")) -> Path:
    """The run of this config that was written to last. Raises FileNotFoundError where there is none."""
    wanted = as_json({"experiment": experiment, **settings(config)})
    found = []
    for file in folder.glob(f"[!.]*/{CONFIG}"):
        try:
            values, written = read_object(file), _written(file.parent)
        except (ValueError, OSError):
            continue  # somebody else's folder
        if all(values.get(name) == value for name, value in wanted.items() if name not in MAY_CHANGE):
            found.append((written, file.parent))
    if not found:
        raise FileNotFoundError(f"resume: expected a run of this config under {folder}, found none")
    return max(found)[1]


def _written(run: Path) -> float:
    """When a run was last written to. Whoever lists runs touches their locks: those do not count."""
    return max(path.stat().st_mtime for name in (CONFIG, STATUS, METRICS) if (path := run / name).is_file())


def as_json(values: Any) -> Any:
    """Values as they come back from JSON."""
    if isinstance(values, dict):
        return {name: as_json(value) for name, value in values.items()}
    if isinstance(values, tuple | list):
        return [as_json(value) for value in values]
    return str(values) if isinstance(values, Path) else values


def check_same(path: Path, then: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises ValueError that lists what differs between a run's config and the one that is to go on with it."""
    now = as_json(now)
    differing = [
        f"the {FINGERPRINTS[name]} has changed"
        if name in FINGERPRINTS
        else f"{name} was {then.get(name, 'not there')!r} and is {now.get(name, 'not there')!r}"
        for name in dict.fromkeys([*now, *then])
        if name not in (*MAY_CHANGE, *PLACES, EXECUTION) and then.get(name) != now.get(name)
    ]
    if differing:
        raise ValueError(f"{path}: expected the run's own config to resume it, got another: {'; '.join(differing)}")
