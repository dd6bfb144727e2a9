"""Run folders looked at from outside, while a run writes them and after it died: what `experiments.runs` is made of."""
