"""Runs: run folders, locks, status, checkpoints, logs and resuming; listing and comparing runs."""

from typing import TYPE_CHECKING

from rnnjax.lazy import lazily

if TYPE_CHECKING:
    from rnnjax.runs.arrays import load_arrays as load_arrays
    from rnnjax.runs.arrays import save_arrays as save_arrays
    from rnnjax.runs.checkpoints import Checkpoints as Checkpoints
    from rnnjax.runs.checkpoints import load_best as load_best
    from rnnjax.runs.config import RunConfig as RunConfig
    from rnnjax.runs.config import SeedsConfig as SeedsConfig
    from rnnjax.runs.config import load_config as load_config
    from rnnjax.runs.config import load_record as load_record
    from rnnjax.runs.execution import Execution as Execution
    from rnnjax.runs.execution import LocalExecution as LocalExecution
    from rnnjax.runs.execution import RunPlace as RunPlace
    from rnnjax.runs.folder import RunFolder as RunFolder
    from rnnjax.runs.live import LiveRun as LiveRun
    from rnnjax.runs.networks import NetworkRun as NetworkRun
    from rnnjax.runs.opening import OpenedRun as OpenedRun
    from rnnjax.runs.opening import open_run as open_run
    from rnnjax.runs.results import load_result_arrays as load_result_arrays
    from rnnjax.runs.results import load_values as load_values
    from rnnjax.runs.results import save_result as save_result
    from rnnjax.runs.session import Session as Session
    from rnnjax.runs.synthetic import SyntheticTask as SyntheticTask

__getattr__, __dir__, __all__ = lazily(__name__)
