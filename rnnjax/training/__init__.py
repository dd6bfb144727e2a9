"""Training: state, compiled steps, the fit loop, devices, checkpoints and run folders."""

from rnnjax.training.checkpoints import load_params as load_params
from rnnjax.training.checkpoints import save_params as save_params
from rnnjax.training.devices import batch_mesh as batch_mesh
from rnnjax.training.devices import use_cpu_cores as use_cpu_cores
from rnnjax.training.loop import DivergedError as DivergedError
from rnnjax.training.loop import EpochReport as EpochReport
from rnnjax.training.loop import Scores as Scores
from rnnjax.training.loop import StepReport as StepReport
from rnnjax.training.loop import evaluate as evaluate
from rnnjax.training.loop import fit as fit
from rnnjax.training.loop import run_epoch as run_epoch
from rnnjax.training.objectives import classification as classification
from rnnjax.training.objectives import next_token as next_token
from rnnjax.training.run_folder import RunFolder as RunFolder
from rnnjax.training.state import TrainState as TrainState
from rnnjax.training.state import adam as adam
from rnnjax.training.step import eval_step as eval_step
from rnnjax.training.step import train_step as train_step
