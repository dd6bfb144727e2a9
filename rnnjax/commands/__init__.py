"""The shared part of all commands of experiments and benchmarks: options, their checks, and one-line errors."""

from typing import TYPE_CHECKING

from rnnjax.lazy import lazily

if TYPE_CHECKING:
    from rnnjax.commands.cells import CellOption as CellOption
    from rnnjax.commands.cells import TrainedRun as TrainedRun
    from rnnjax.commands.cli import parse as parse
    from rnnjax.commands.cli import parse_presets as parse_presets
    from rnnjax.commands.cli import parse_run as parse_run
    from rnnjax.commands.cli import run as run
    from rnnjax.commands.cli import run_preset as run_preset
    from rnnjax.commands.cli import run_study as run_study
    from rnnjax.commands.cli import study_command as study_command
    from rnnjax.commands.experiment import Experiment as Experiment
    from rnnjax.terminal import printable as printable

__getattr__, __dir__, __all__ = lazily(__name__)
