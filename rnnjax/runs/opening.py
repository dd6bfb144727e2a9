"""Opens a trained run from Python."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import jax

from rnnjax.runs.checkpoints import load_best
from rnnjax.runs.config import load_config
from rnnjax.runs.folder import CHECKPOINTS, RunFolder

Config = TypeVar("Config")


class OpenedRun(NamedTuple, Generic[Config]):
    """A run folder, its config, and the parameters of its best epoch."""

    folder: RunFolder
    config: Config
    params: Any


def open_run(path: Path | str, kind: type[Config], init: Callable[[Config], Any]) -> OpenedRun[Config]:
    """Opens a trained run: its config, a dataclass of type `kind`, and the parameters of its best epoch.

    `init(config)` returns the initial parameters of the network; only their structure, shapes and dtypes are used
    (`jax.eval_shape`). No code in the folder is executed. Raises as `load_config` and `load_best`.
    """
    folder = RunFolder.open(Path(path))
    config = load_config(folder.path, kind)
    template = jax.eval_shape(lambda: init(config))
    return OpenedRun(folder, config, load_best(folder.path / CHECKPOINTS, template, folder.seals()))
