"""How a run is carried out: options that training studies share, none of which belongs to what is computed."""

import dataclasses
import functools
import hashlib
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np

from rnnjax.fields import check_fields
from rnnjax.runs.folder import PLACES, versions
from rnnjax.training import use_cpu_cores
from rnnjax.training.processes import check_same_everywhere, join

EXECUTION = "execution"
# What a resumed run keeps of these options, and what it is unless anybody says so.
KEPT = ("checkpoint_minutes", "checkpoint_steps", "keep", "tensorboard", "histograms")
# What processes of one run must not differ in, besides what is computed: they write and look at the same steps.
ALIKE = ("checkpoint_minutes", "checkpoint_steps", "keep", "tensorboard", "histograms", "debug_nans")
# JAX's own settings that change numbers.
NUMERICS = ("jax_enable_x64", "jax_default_matmul_precision", "jax_default_prng_impl", "jax_threefry_partitionable")
DEFAULTS = {"keep": 2, "tensorboard": True}


@dataclasses.dataclass(frozen=True)
class RunPlace:
    """The run folder and the devices: the options of a run that cannot be resumed."""

    run_folder: Path | None = None
    """New folder for the run. Default: runs/ with the name of the study and the time."""
    devices: int | None = None
    """Number of devices to use, CPU cores included. Default: all of this process."""

    def __post_init__(self):
        check_fields(self, at_least_one=("devices",))

    def kept(self) -> dict[str, Any]:
        """The options that a run records for its resumption: none."""
        return {}

    def filled(self, own: Any) -> Any:
        """These options, since there is no earlier run with other ones."""
        return self

    def begin(self, config: Any) -> None:
        """Fixes the devices. Must come before the first computation."""
        use_cpu_cores(self.devices)


@dataclasses.dataclass(frozen=True)
class LocalExecution(RunPlace):
    """Of a run in one process that trains in blocks of updates on the devices; may differ when it is resumed."""

    minutes: ClassVar[float] = 1 / 6

    resume: Path | None = None
    """A run folder to go on with, under its own config where no preset is named; without a path, the newest run of
    this config."""
    checkpoint_minutes: float | None = None
    """Write a checkpoint at least this often: every 10 seconds, unless given. A resumed run keeps this and the next
    three options, unless they are given again."""
    checkpoint_steps: int | None = None
    """Write one after every so many updates, too."""
    keep: int | None = None
    """Newest checkpoints kept, 2 unless given; that of the best epoch stays in any case."""
    tensorboard: bool = True
    """Write event files for TensorBoard, too; a run that was begun without them stays without."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(self, at_least_one=("checkpoint_steps", "keep"), above_zero=("checkpoint_minutes",))
        if self.resume is not None and self.run_folder is not None:
            raise ValueError("run_folder: expected none with --resume, which goes on in the run's own folder")

    def kept(self) -> dict[str, Any]:
        """The options that a run records for its resumption."""
        return {name: getattr(self, name) for name in self._names}

    def filled(self, own: Any) -> Any:
        """These options; those left open are as the run had them before (`kept`), or else the default.

        Raises ValueError where a run's own are not such options.
        """
        if not isinstance(own, dict):
            raise ValueError(f"{EXECUTION}: expected an object, got {reprlib.repr(own)}")
        defaults = {"checkpoint_minutes": self.minutes, **DEFAULTS}
        own = defaults | {name: value for name, value in own.items() if name in self._names and value is not None}
        chosen = {name: own.get(name) for name in self._names if getattr(self, name) is None}
        # Checked before it is combined: it may be a stranger's.
        tensorboard = dataclasses.replace(self, **chosen, tensorboard=own["tensorboard"]).tensorboard
        return dataclasses.replace(self, **chosen, tensorboard=self.tensorboard and tensorboard)

    @property
    def _names(self) -> list[str]:
        return [name for name in KEPT if hasattr(self, name)]


@dataclasses.dataclass(frozen=True)
class Execution(LocalExecution):
    """Of a run whose steps several devices and processes share; may differ when it is resumed."""

    minutes: ClassVar[float] = 10.0

    checkpoint_minutes: float | None = None
    """Write a checkpoint at least this often, besides after each epoch: every 10 minutes, unless given. A resumed run
    keeps this and the next four options, unless they are given again."""
    histograms: int | None = None
    """Add histograms of every gradient to them, after every so many steps."""
    debug_nans: bool = False
    """Where a loss or gradient is not finite, name the first operation that made it so."""
    distributed: bool = False
    """Train together with other processes that run this command; a cluster's scheduler is asked who they are."""
    coordinator: str | None = None
    """HOST:PORT of process 0, where no scheduler knows."""
    processes: int | None = None
    """How many processes there are, where no scheduler knows."""
    process: int | None = None
    """Which one this is, from 0, where no scheduler knows."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(self, at_least_one=("histograms", "processes"))
        if not self.distributed and (self.coordinator, self.processes, self.process) != (None, None, None):
            raise ValueError("coordinator, processes, process: expected --distributed with them")

    def begin(self, config: Any) -> None:
        """Fixes the devices, and joins the other processes, which must have the same config, `execution` apart.

        Must come before the first computation.
        """
        super().begin(config)
        if self.distributed:
            join(self.coordinator, self.processes, self.process, facts_of(config))


def facts_of(config: Any) -> dict[str, Any]:
    """In what the processes of a run must not differ before they know the data: options, numbers and versions."""
    execution = config.execution
    options = settings(config) | {name: getattr(execution, name) for name in ALIKE if hasattr(execution, name)}
    facts = {name: value for name, value in options.items() if name not in PLACES}
    facts["resume"] = isinstance(execution, LocalExecution) and execution.resume is not None
    facts |= {name: str(getattr(jax.config, name)) for name in NUMERICS}
    return as_json(facts | {f"version of {name}": version for name, version in versions().items()})


def check_alike(config: Any, facts: Mapping[str, Any], artifacts: Mapping[str, str]) -> None:
    """Raises ValueError, in every process of the run, where one has other options or facts of the data."""
    devices = jax.local_device_count() if config.execution.devices is None else config.execution.devices
    found = {f"data ({name})": value for name, value in facts.items()}
    for name, text in artifacts.items():
        found[f"{name.removesuffix('.json')} of the data"] = hashlib.sha256(text.encode()).hexdigest()
    check_same_everywhere(as_json(facts_of(config) | {"devices": devices} | found))


def settings(config: Any) -> dict[str, Any]:
    """What a config says of the computation itself."""
    return {name: value for name, value in dataclasses.asdict(config).items() if name != EXECUTION}


def as_json(value: Any) -> Any:
    """A value as it comes back from JSON: the same in every process.

    Arrays and sets are lists, and paths words. Objects are their type and fields. Functions are their names, with what
    they are partial or closed over. Anything else is its `str`.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [as_json(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(as_json, value), key=str)
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return np.asarray(value).tolist()
    if isinstance(value, functools.partial):
        return {"partial": as_json(value.func), "arguments": as_json(value.args), "options": as_json(value.keywords)}
    if callable(value) and hasattr(value, "__qualname__"):
        name, cells = f"{value.__module__}.{value.__qualname__}", getattr(value, "__closure__", None) or ()
        return {"function": name, "over": [as_json(cell.cell_contents) for cell in cells]} if cells else name
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif type(value).__repr__ is object.__repr__ and hasattr(value, "__dict__"):  # whose `str` is an address
        fields = vars(value)
    else:
        return str(value)
    return {"type": f"{type(value).__module__}.{type(value).__qualname__}", **as_json(fields)}
