"""Programs that each run all cases of one client library, for the virtualenvs and packages of tests/clients.

A program prints its ready line, `{"cases": […]}`. Then it reads rounds from standard input, each `{"url", "model", "prompts"}`
in JSON, starts all cases with all prompts at once, prints `{"asked": true}`, and at the end prints
`{"outcomes": {case: [one for each prompt]}}`. The Python programs import nothing of sparkd.
"""
