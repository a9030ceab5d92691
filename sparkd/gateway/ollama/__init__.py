"""Ollama's API: `/api/…`. Its requests are translated (`sparkd/ollama`) and then take the way of all others."""
