"""Networks and a baseline on a few labelled sentences: what `experiments.restaurant` is made of."""
