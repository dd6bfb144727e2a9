"""Opens a trained run from Python."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import jax

from rnnjax.runs.config import load_record
from rnnjax.runs.folder import RunFolder

Config = TypeVar("Config")


class OpenedRun(NamedTuple, Generic[Config]):
    """A run folder, its config, and the parameters of its best epoch."""

    folder: RunFolder
    config: Config
    params: Any


def open_run(path: Path | str, kind: type[Config], init: Callable[[Config], Any]) -> OpenedRun[Config]:
    """Opens a trained run: its config, a dataclass of type `kind`, and the parameters of its best epoch.

    `init(config)` returns the initial parameters of the network; only their structure, shapes and dtypes are used
    (`jax.eval_shape`). No code in the folder is executed. Raises as `load_record` and `load_best`.
    """
    record = load_record(path, kind)
    template = jax.eval_shape(lambda: init(record.config))
    return OpenedRun(record.folder, record.config, record.best_params(template))
