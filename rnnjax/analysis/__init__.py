"""Analysis: gradients, gates and states inside a network, and figures of runs."""

from typing import TYPE_CHECKING

from rnnjax.lazy import lazily

if TYPE_CHECKING:
    from rnnjax.analysis.gradient_flow import GradientNorms as GradientNorms
    from rnnjax.analysis.gradient_flow import gradient_norms as gradient_norms
    from rnnjax.analysis.gradient_flow import jacobian_products as jacobian_products
    from rnnjax.analysis.gradient_flow_plots import ClippingCurves as ClippingCurves
    from rnnjax.analysis.gradient_flow_plots import FlowCurves as FlowCurves
    from rnnjax.analysis.gradient_flow_plots import gradient_flow_figure as gradient_flow_figure
    from rnnjax.analysis.memory import Memory as Memory
    from rnnjax.analysis.memory import gradient_memory as gradient_memory
    from rnnjax.analysis.plots import confusion_matrix as confusion_matrix
    from rnnjax.analysis.plots import fold_accuracies as fold_accuracies
    from rnnjax.analysis.plots import learning_curves as learning_curves
    from rnnjax.analysis.plots import length_histogram as length_histogram
    from rnnjax.analysis.plots import reliability_figure as reliability_figure
    from rnnjax.analysis.run_plots import RunCurves as RunCurves
    from rnnjax.analysis.run_plots import comparison_figure as comparison_figure
    from rnnjax.analysis.seed_plots import SeedCurve as SeedCurve
    from rnnjax.analysis.seed_plots import seed_curves as seed_curves
    from rnnjax.analysis.step_trace import trace_cell as trace_cell
    from rnnjax.analysis.step_trace import trace_steps as trace_steps
    from rnnjax.analysis.text_plots import step_figure as step_figure
    from rnnjax.analysis.text_plots import surprisal_figure as surprisal_figure
    from rnnjax.analysis.text_plots import turning_words as turning_words
    from rnnjax.analysis.text_plots import verdict_figure as verdict_figure
    from rnnjax.analysis.verdicts import class_probabilities as class_probabilities
    from rnnjax.analysis.verdicts import verdict_trace as verdict_trace

__getattr__, __dir__, __all__ = lazily(__name__)
