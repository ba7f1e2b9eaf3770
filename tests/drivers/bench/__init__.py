"""Benchmarks of a running server through stock clients, beside floors and in-process peers."""
