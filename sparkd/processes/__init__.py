"""One child process and all that it forks: its cgroup, its log, its private directory, and what outlives a daemon."""
