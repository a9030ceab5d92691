"""Metrics in Prometheus's format: sparkd's own, and those of the engines.

families         the table of families: names, types, labels, buckets
event_counts     what is counted as it happens: requests, loads, stops
machine_state    what is read at a scrape: memory, queue, models, GPU
exposition       both as text, written by prometheus_client in a thread
engine_scrape    asks the ready engines for their metrics
engine_merging   joins them to one text
shared_work      several scrapes at once cost as much as one
routes           /metrics and /metrics/engines, and who may read them
service          all of it together, for one daemon
reference        the table of families in docs/monitoring.md
"""
