"""sparkd side by side with other ways to put a proxy in front of an engine, on this machine, in one run.

engine, load    (native/) a simulated engine and the load, in C so that they are never what is measured
contestants     who is compared, and how each is started
measures        what is measured
table           medians, ratios, a table
"""
