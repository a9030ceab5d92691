"""The daemon as its owner meets it: a real process, real sockets, real engines."""
