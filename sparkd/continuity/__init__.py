"""Reloads of the catalogue, and the replacement of the program while its engines keep running."""
