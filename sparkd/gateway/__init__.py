"""Port 8009: authenticate, find the model, forward, answer."""

from sparkd.gateway.app import Gateway

__all__ = ["Gateway"]
