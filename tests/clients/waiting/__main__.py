"""`python -m tests.clients.waiting`: finds out what each client gets, and writes results.json and docs/clients.md."""

from tests.clients.waiting.results import write_rows
from tests.clients.waiting.rounds import run_styles

write_rows(run_styles().dump())
