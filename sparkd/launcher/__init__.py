"""Warm starts: a launcher imports an engine's modules once, and engines are forked from it.

Most of an engine's start is Python importing the same thousands of modules, once per process of the engine. A launcher
is one process per built runtime that has imported them and waits.

program.py      what runs in the runtime's virtualenv: forks an engine for each request
imports.py      its first part: imports the modules, and finds out whether a fork is safe
messages.py     the messages between sparkd and the program
environment.py  which variables of a model must equal the launcher's, because they were read at the import
launcher.py     one launcher process, seen from sparkd
failures.py     which models and runtimes start cold after warm starts have failed
"""
