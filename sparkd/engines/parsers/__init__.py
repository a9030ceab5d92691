"""Programs that ask the real parsers of engines. They run in a runtime's virtualenv, by its Python, without sparkd.

program        reads command lines as JSON, answers with what is wrong with each
vllm_serve     the parser of `vllm serve`, and what vLLM refuses only later
sglang_serve   the parser of `sglang serve`

Nothing here may import anything of sparkd, nor be called like a package of an engine: this folder comes first where
these programs import from.
"""
