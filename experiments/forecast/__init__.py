"""Forecasts time series with recurrent networks, and compares them with baselines."""
