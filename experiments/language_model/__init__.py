"""Language models of words or characters: what `experiments.language_model` is made of."""
