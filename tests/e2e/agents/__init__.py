"""Requests of agents and other clients that an engine or a chat template would reject, and what becomes of them."""
