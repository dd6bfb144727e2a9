"""Analysis: figures of what a run did."""

from rnnjax.analysis.plots import confusion_matrix as confusion_matrix
from rnnjax.analysis.plots import fold_accuracies as fold_accuracies
from rnnjax.analysis.plots import learning_curves as learning_curves
from rnnjax.analysis.plots import length_histogram as length_histogram
