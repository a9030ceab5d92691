"""The control API, on a Unix socket that only its owner can open, and its client."""
