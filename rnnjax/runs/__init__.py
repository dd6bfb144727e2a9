"""Runs: run folder, lock, status, checkpoints, log and resumption; listing and comparing what is there."""

from rnnjax.runs.arrays import load_arrays as load_arrays
from rnnjax.runs.arrays import save_arrays as save_arrays
from rnnjax.runs.checkpoints import Checkpoints as Checkpoints
from rnnjax.runs.checkpoints import load_best as load_best
from rnnjax.runs.folder import RunFolder as RunFolder
