"""Forecasts of series by recurrent nets, beside baselines: what `experiments.forecast` is made of."""
