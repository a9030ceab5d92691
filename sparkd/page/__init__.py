"""The page of this machine, for its owner: static files, served by sparkd itself, and the control API for a browser."""
