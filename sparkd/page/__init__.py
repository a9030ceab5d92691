"""The owner's web page: static files, nothing from the network, no build step."""
