"""Training: state, compiled steps, the fit loop, devices and processes, checkpoints and run folders."""

from rnnjax.training.arrays import load_arrays as load_arrays
from rnnjax.training.arrays import save_arrays as save_arrays
from rnnjax.training.checkpoints import Checkpoints as Checkpoints
from rnnjax.training.checkpoints import load_best as load_best
from rnnjax.training.devices import batch_mesh as batch_mesh
from rnnjax.training.devices import use_cpu_cores as use_cpu_cores
from rnnjax.training.divergence import DivergedError as DivergedError
from rnnjax.training.interruption import Interrupted as Interrupted
from rnnjax.training.interruption import StopSignals as StopSignals
from rnnjax.training.loop import evaluate as evaluate
from rnnjax.training.loop import fit as fit
from rnnjax.training.loop import run_epoch as run_epoch
from rnnjax.training.objectives import classification as classification
from rnnjax.training.objectives import next_token as next_token
from rnnjax.training.position import Position as Position
from rnnjax.training.reports import EpochReport as EpochReport
from rnnjax.training.reports import Scores as Scores
from rnnjax.training.reports import StepReport as StepReport
from rnnjax.training.run_folder import RunFolder as RunFolder
from rnnjax.training.state import TrainState as TrainState
from rnnjax.training.state import adam as adam
from rnnjax.training.step import eval_step as eval_step
from rnnjax.training.step import train_step as train_step
