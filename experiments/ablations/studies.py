"""The shipped studies."""

from collections.abc import Mapping

from experiments.ablations.language_studies import lm_regularisation
from experiments.ablations.memory_studies import cells_memory, init_and_clip, lstm_gates, recurrence, smoke
from experiments.ablations.text_studies import order_matters, sentiment
from rnnjax.ablations import Study

MAKERS = (cells_memory, lstm_gates, init_and_clip, sentiment, order_matters, lm_regularisation, recurrence, smoke)
STUDIES: Mapping[str, Study] = {make.__name__.replace("_", "-"): make() for make in MAKERS}
