"""Programs that each run all cases of one client library, for the virtualenvs and packages of tests/clients.

A program prints `{"cases": […]}` when it is ready. Then it reads rounds from standard input, each a line of JSON with
the fields of `Target` and `prompts`. It starts all cases with all prompts at once, prints `{"asked": true}`, and at the
end `{"outcomes": {case: [one for each prompt]}}`. The programs import nothing of sparkd.
"""
