"""Programs for the virtualenv with the libraries: `python -m tests.clients.libraries.NAME URL MODEL`.

Each holds a conversation of two prompts, in which the model calls a tool twice, and prints the two answers. Each
replays the responses exactly as its library returns them.
"""
