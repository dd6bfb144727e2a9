"""Training: state, objectives, compiled steps, the fit loop, devices and processes."""

from typing import TYPE_CHECKING

from rnnjax.lazy import lazily

if TYPE_CHECKING:
    from rnnjax.training.ctc_objective import ctc as ctc
    from rnnjax.training.ctc_objective import ctc_decode as ctc_decode
    from rnnjax.training.devices import batch_mesh as batch_mesh
    from rnnjax.training.devices import use_cpu_cores as use_cpu_cores
    from rnnjax.training.divergence import DivergedError as DivergedError
    from rnnjax.training.dynamic_evaluation import DynamicEvaluation as DynamicEvaluation
    from rnnjax.training.dynamic_evaluation import dynamic_losses as dynamic_losses
    from rnnjax.training.dynamic_evaluation import root_mean_squares as root_mean_squares
    from rnnjax.training.interruption import Interrupted as Interrupted
    from rnnjax.training.interruption import StopSignals as StopSignals
    from rnnjax.training.loop import evaluate as evaluate
    from rnnjax.training.loop import fit as fit
    from rnnjax.training.loop import run_epoch as run_epoch
    from rnnjax.training.models import first_state as first_state
    from rnnjax.training.models import init_params as init_params
    from rnnjax.training.models import param_shapes as param_shapes
    from rnnjax.training.neural_cache import NeuralCache as NeuralCache
    from rnnjax.training.neural_cache import cached_losses as cached_losses
    from rnnjax.training.objective import Objective as Objective
    from rnnjax.training.objectives import classification as classification
    from rnnjax.training.objectives import next_token as next_token
    from rnnjax.training.objectives import regression as regression
    from rnnjax.training.objectives import tagging as tagging
    from rnnjax.training.objectives import teacher_forcing as teacher_forcing
    from rnnjax.training.optimizers import Optimizer as Optimizer
    from rnnjax.training.position import Position as Position
    from rnnjax.training.reports import EpochReport as EpochReport
    from rnnjax.training.reports import Scores as Scores
    from rnnjax.training.reports import StepReport as StepReport
    from rnnjax.training.softmax import sampled_softmax_loss as sampled_softmax_loss
    from rnnjax.training.softmax import softmax_loss as softmax_loss
    from rnnjax.training.state import TrainState as TrainState
    from rnnjax.training.step import eval_step as eval_step
    from rnnjax.training.step import train_step as train_step
    from rnnjax.training.stream_losses import token_losses as token_losses
    from rnnjax.training.streams import evaluate_stream as evaluate_stream
    from rnnjax.training.streams import initial_carry as initial_carry
    from rnnjax.training.streams import next_in_stream as next_in_stream

__getattr__, __dir__, __all__ = lazily(__name__)
