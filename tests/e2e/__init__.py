"""End-to-end tests of the daemon: a real process, real sockets, real engines."""
