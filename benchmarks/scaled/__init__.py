"""What `benchmarks.scaling` is made of: the work of one process, and the processes of a case."""
