"""Recurrent nets on memory tasks, many seeds at once: what `experiments.memory` is made of."""
