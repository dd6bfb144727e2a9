"""A text classifier from its options to its trained run: what `experiments.sentiment` is made of."""
