"""The edges to the box: one child process and everything it forks, its log, its places, its ports."""
