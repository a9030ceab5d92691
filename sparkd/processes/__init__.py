"""Child processes and everything they fork: cgroup, log, private folder, and orphans of a killed daemon."""
