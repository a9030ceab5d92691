"""`sparkctl check`: the catalogue, and with `--runtime` the models' engine flags."""
