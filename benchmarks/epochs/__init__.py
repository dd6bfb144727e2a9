"""What `benchmarks.epoch` is made of: the data pipeline, the contestants, one file each, and what is measured."""
