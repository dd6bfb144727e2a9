"""The studies that are shipped."""

from collections.abc import Mapping

from experiments.ablations.memory_studies import cells_memory, init_and_clip, lstm_gates, recurrence, smoke
from experiments.ablations.study import Study
from experiments.ablations.text_studies import order_matters, sentiment

STUDIES: Mapping[str, Study] = {
    "cells-memory": cells_memory(),
    "lstm-gates": lstm_gates(),
    "init-and-clip": init_and_clip(),
    "sentiment": sentiment(),
    "order-matters": order_matters(),
    "recurrence": recurrence(),
    "smoke": smoke(),
}
