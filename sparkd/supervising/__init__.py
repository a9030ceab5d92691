"""Carries out the scheduler's decisions: the supervisor, the life of a run, leases, downloads, and the memory watch."""
