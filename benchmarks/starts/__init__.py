"""Cold and warm starts of real engines under a real sparkd, in turns.

daemon      a sparkd whose catalogue has each model twice, and a client that takes the time
measures    the starts and the swaps that are measured
memory      the memory of a launcher and of an engine
recorder    what happens during a swap, and when
timeline    the timeline of a swap as text
tables      medians and ratios
"""
