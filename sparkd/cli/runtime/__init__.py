"""`sparkctl runtime`: build, list, roll back and prune virtualenvs."""
