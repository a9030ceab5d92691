"""Metrics in Prometheus's format: sparkd's own, and those of the engines."""
