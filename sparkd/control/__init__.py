"""The owner's API, on a Unix socket that only its owner may open, and its client."""
