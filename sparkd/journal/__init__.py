"""Lines for systemd's journal: bounded in rate and memory, and never a reason for the daemon to wait."""
