"""`sparkctl doctor`: inspection collects facts, checks turn them into findings."""
