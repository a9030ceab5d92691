"""Learns from past runs of models, and keeps the results in a database."""
