"""Writes lines to systemd's journal. Rate and memory are bounded, and the daemon never waits for it."""
