"""What `benchmarks.throughput` is made of: cases, their check, their measurement, tables and figures."""
