"""A week of several households in simulated time: how long requests wait for their models under different rules."""
