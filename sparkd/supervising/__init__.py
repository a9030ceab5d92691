"""Decisions become effects: the supervisor, the life of a run, leases, downloads, and the watch over memory."""
