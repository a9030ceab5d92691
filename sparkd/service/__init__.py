"""The daemon as a service: listening sockets, notifications to systemd, signals, one instance per run directory."""
