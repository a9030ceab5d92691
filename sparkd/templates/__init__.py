"""What chat templates accept, read from the templates themselves: sparkd renders small conversations with them.

A template is a program that came from the network. It is rendered in jinja2's sandbox, in a process of its own with
limits on time and memory (`sparkd.templates.__main__`), never in the daemon.
"""
