"""How a run is executed: options that all training studies share, and that do not affect what is computed."""

import dataclasses
import functools
import hashlib
import reprlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rnnjax.fields import check_fields
from rnnjax.runs.folder import PLACES, versions

EXECUTION = "execution"
# The options that a resumed run keeps; DEFAULTS are their defaults.
KEPT = ("checkpoint_minutes", "checkpoint_steps", "keep", "tensorboard", "histograms")
# The options of execution that must be the same in all processes of a run: they act at the same steps.
ALIKE = ("checkpoint_minutes", "checkpoint_steps", "keep", "tensorboard", "histograms", "debug_nans")
# Settings of JAX that affect numerical results.
NUMERICS = ("jax_enable_x64", "jax_default_matmul_precision", "jax_default_prng_impl", "jax_threefry_partitionable")
DEFAULTS = {"keep": 2, "tensorboard": True}


@dataclasses.dataclass(frozen=True)
class RunPlace:
    """The run folder and the devices: the options of a run that cannot be resumed."""

    run_folder: Path | None = None
    """New folder for the run. Default: a folder under runs/ with the name of the study and the time."""
    devices: int | None = None
    """Number of devices to use in this process (each CPU core is a device). Default: all."""

    def __post_init__(self):
        check_fields(self, at_least_one=("devices",))

    def kept(self) -> dict[str, Any]:
        """The options that a run records for its resumption: none."""
        return {}

    def filled(self, own: Any) -> Any:
        """These options: there is no earlier run."""
        return self

    def begin(self, config: Any) -> None:
        """Sets the number of CPU devices. Must be called before the first computation."""
        from rnnjax.training.devices import use_cpu_cores

        use_cpu_cores(self.devices)


@dataclasses.dataclass(frozen=True)
class LocalExecution(RunPlace):
    """How a run is executed that trains in blocks of updates in one process; may be changed when it is resumed."""

    minutes: ClassVar[float] = 1 / 6

    resume: Path | None = None
    """Run folder to resume. It is resumed with its own config unless a preset is given. Without a path: the newest run
    with this config."""
    checkpoint_minutes: float | None = None
    """Write a checkpoint after this number of minutes. Default: 1/6 (10 seconds). A resumed run keeps this and the next
    three options unless they are given again."""
    checkpoint_steps: int | None = None
    """Also write a checkpoint after this number of updates."""
    keep: int | None = None
    """Number of newest checkpoints to keep. Default: 2. The checkpoint of the best epoch is always kept."""
    tensorboard: bool = True
    """Write event files for TensorBoard. They cannot be added to a run that was started without them."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(self, at_least_one=("checkpoint_steps", "keep"), above_zero=("checkpoint_minutes",))
        if self.resume is not None and self.run_folder is not None:
            raise ValueError("run_folder: expected none with --resume, which continues in the folder of the run")

    def kept(self) -> dict[str, Any]:
        """The options that a run records, to be used again when it is resumed."""
        return {name: getattr(self, name) for name in self._names}

    def filled(self, own: Any) -> Any:
        """These options, with those not given taken from the run's earlier options `own` (`kept`), or else the default.

        Raises ValueError if `own` has invalid values.
        """
        if not isinstance(own, dict):
            raise ValueError(f"{EXECUTION}: expected an object, got {reprlib.repr(own)}")
        defaults = {"checkpoint_minutes": self.minutes, **DEFAULTS}
        own = defaults | {name: value for name, value in own.items() if name in self._names and value is not None}
        chosen = {name: own.get(name) for name in self._names if getattr(self, name) is None}
        # `replace` validates the value before it is used: the run folder may come from somebody else.
        tensorboard = dataclasses.replace(self, **chosen, tensorboard=own["tensorboard"]).tensorboard
        return dataclasses.replace(self, **chosen, tensorboard=self.tensorboard and tensorboard)

    @property
    def _names(self) -> list[str]:
        return [name for name in KEPT if hasattr(self, name)]


@dataclasses.dataclass(frozen=True)
class Execution(LocalExecution):
    """How a run is executed whose batches are split over devices and processes; may be changed when it is resumed."""

    minutes: ClassVar[float] = 10.0

    checkpoint_minutes: float | None = None
    """Write a checkpoint after this number of minutes, and after each epoch. Default: 10. A resumed run keeps this and
    the next four options unless they are given again."""
    histograms: int | None = None
    """TensorBoard: write histograms of all gradients after this number of steps."""
    debug_nans: bool = False
    """If a loss or gradient is not finite, report the first operation whose result was not finite."""
    distributed: bool = False
    """Train with several processes that all run this command. On a cluster (SLURM, Open MPI, Kubernetes, TPU pods) they
    are found automatically; elsewhere the next three options are needed."""
    coordinator: str | None = None
    """HOST:PORT of process 0."""
    processes: int | None = None
    """Number of processes."""
    process: int | None = None
    """Number of this process, from 0."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(self, at_least_one=("histograms", "processes"))
        if not self.distributed and (self.coordinator, self.processes, self.process) != (None, None, None):
            raise ValueError("coordinator, processes, process: expected --distributed with them")

    def begin(self, config: Any) -> None:
        """Sets the number of CPU devices, and connects to the other processes, which must have the same config.

        `execution` may differ. Must be called before the first computation. Raises as `rnnjax.training.processes.join`.
        """
        if self.distributed:
            from rnnjax.training.processes import join

            join(self.coordinator, self.processes, self.process, facts_of(config))
        super().begin(config)


def facts_of(config: Any) -> dict[str, Any]:
    """What must be the same in all processes of a run before the data are read: options, JAX settings and versions."""
    import jax

    execution = config.execution
    options = settings(config) | {name: getattr(execution, name) for name in ALIKE if hasattr(execution, name)}
    facts = {name: value for name, value in options.items() if name not in PLACES}
    facts["resume"] = isinstance(execution, LocalExecution) and execution.resume is not None
    facts |= {name: str(getattr(jax.config, name)) for name in NUMERICS}
    return as_json(facts | {f"version of {name}": version for name, version in versions().items()})


def check_alike(config: Any, facts: Mapping[str, Any], artifacts: Mapping[str, str]) -> None:
    """Raises ValueError, in every process of the run, if the options or the facts of the data differ in one of them."""
    import jax

    from rnnjax.training.processes import check_same_everywhere

    devices = jax.local_device_count() if config.execution.devices is None else config.execution.devices
    found = {f"data ({name})": value for name, value in facts.items()}
    for name, text in artifacts.items():
        found[f"{name.removesuffix('.json')} of the data"] = hashlib.sha256(text.encode()).hexdigest()
    check_same_everywhere(as_json(facts_of(config) | {"devices": devices} | found))


def settings(config: Any) -> dict[str, Any]:
    """The fields of a config that describe the computation: all but `execution`."""
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {
        name: as_json(value) if dataclasses.is_dataclass(value) else value  # a cell with its type
        for name, value in fields.items()
        if name != EXECUTION
    }


def _is_jax_array(value: Any) -> bool:
    jax = sys.modules.get("jax")  # without JAX there are no such arrays
    return jax is not None and isinstance(value, jax.Array)


def as_json(value: Any) -> Any:
    """A value as JSON values that are the same in every process.

    Arrays and sets become lists, paths strings. An object becomes its type and fields. A function becomes its name,
    with the arguments of a partial and the values of a closure. Anything else becomes its `str`.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [as_json(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(as_json, value), key=str)
    if isinstance(value, np.ndarray | np.generic) or _is_jax_array(value):
        return np.asarray(value).tolist()
    if isinstance(value, functools.partial):
        return {"partial": as_json(value.func), "arguments": as_json(value.args), "options": as_json(value.keywords)}
    if callable(value) and hasattr(value, "__qualname__"):
        name, cells = f"{value.__module__}.{value.__qualname__}", getattr(value, "__closure__", None) or ()
        return {"function": name, "over": [as_json(cell.cell_contents) for cell in cells]} if cells else name
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif type(value).__repr__ is object.__repr__ and hasattr(value, "__dict__"):  # its `str` has an address
        fields = vars(value)
    else:
        return str(value)
    return {"type": f"{type(value).__module__}.{type(value).__qualname__}", **as_json(fields)}
