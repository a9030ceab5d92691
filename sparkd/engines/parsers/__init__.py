"""Programs that run the engines' own parsers. They run in a runtime's virtualenv, with its Python, without sparkd.

program        reads command lines as JSON and writes the problems of each
vllm_serve     the parser of `vllm serve`, and what vLLM rejects only later
sglang_serve   the parser of `sglang serve`

Nothing here may import sparkd, or have the name of an engine's package: this folder is first on the import path of
these programs.
"""
