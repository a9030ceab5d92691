"""`sparkctl top`: models and requests as lists with keys.

command    opens the screen
top        keys change what is shown, or begin an action
browser    the lists on the screen, with a filter
lists      which rows a list has, in which order, and which one is selected
panels     what is shown over the lists: help, a plan, a model with its log, a request
following  a model and its log, kept up to date
actions    requests to sparkd, on threads, with the questions before them
help       a description of the keys
"""
