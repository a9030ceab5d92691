"""Configurations of client programs, made from the catalogue, and how they are merged into existing files.

`offer.py` finds what the catalogue offers a client. One file per client turns that into a `Configuration`
(`configuration.py`); `table.py` lists them. `merging.py` merges it into what a file has, and `formats.py` edits the
file's text. All of it is pure; `sparkctl client` reads and writes the files.
"""
