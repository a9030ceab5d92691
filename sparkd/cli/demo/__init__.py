"""`sparkctl demo`: its catalogue, its models and its first request."""
