"""Ollama's API, translated: its requests become OpenAI's, and what an engine answers becomes Ollama's again.

Pure: bytes and dicts in, bytes and dicts out. `sparkd/gateway/ollama` does the rest.

| module | translates |
|---|---|
| `requests` | `/api/chat`, `/api/generate`, `/api/embed` and `/api/embeddings` into a `TranslatedRequest` |
| `messages`, `options`, `infill` | parts of these requests |
| `answers`, `documents`, `tool_calls`, `times` | an engine's events or document into lines or a document |
| `cards` | a model into its entry in `/api/tags`, `/api/ps` and `/api/show` |
| `pulls` | a download into its lines |

https://github.com/ollama/ollama/blob/main/docs/api.md
"""
