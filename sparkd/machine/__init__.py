"""Measures this machine: memory, GPU, page cache, disk."""
