"""The live state of the machine as an event stream, for the page and for screens in a terminal.

state     its types
sources   where requests and sensors come from
loads     a load and a download, step by step
models    rows of active models
queue     requests that wait, in the order of their turns
machine   the daemon, its memory, its GPU, notices
reader    all of it at one moment
changes   what differs between two moments, as events
hub       reads for everyone who listens, and only while somebody does
stream    GET /events
"""
