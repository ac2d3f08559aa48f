"""The benchmarks behind every claim (README.md). `make bench` runs them all."""
