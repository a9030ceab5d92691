"""Client libraries that wait for a model which takes 400 simulated seconds to load.

A simulated second takes 10 ms: the settings of sparkd and the timeouts of the clients are shortened alike.
"""
