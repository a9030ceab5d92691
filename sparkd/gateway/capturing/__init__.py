"""Keeps the content of a few requests in memory, for minutes and one client or model, if the owner asks for it."""
