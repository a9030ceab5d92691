"""Programs for the virtualenv with the libraries: `python -m tests.clients.libraries.NAME URL MODEL KEY`.

Most hold a conversation of two prompts, in which the model calls a tool twice, and print the two answers. They
replay the responses exactly as their library returns them.
"""
