"""The parts of `benchmarks.throughput`: cases, checks, measurement, tables and figures."""
