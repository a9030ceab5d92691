"""Heartbeats: what a client gets while its request waits, and how its response continues afterwards.

formats     what a heartbeat and an error look like in each API
choice      which format a request gets, by its API, its model and its client
opening     the engine's first event, which must not repeat what a heartbeat has said
silence     finds engines that have a request and send nothing
waiting     one waiting response: the timer, the heartbeats, then the engine's response
"""
