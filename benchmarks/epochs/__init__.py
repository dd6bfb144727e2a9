"""The parts of `benchmarks.epoch`: options, data pipeline, contestants, checks and tables."""
