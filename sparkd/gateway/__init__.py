"""The door: authenticate, find the model, forward, answer."""

from sparkd.gateway.app import Gateway

__all__ = ["Gateway"]
