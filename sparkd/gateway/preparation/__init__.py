"""A client's request becomes the request to its engine."""
