"""How much one request may ask for: `[models.<id>.rewriting.limits]`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Bound = Annotated[int, Meta(ge=0, le=2**31 - 1)]
PositiveBound = Annotated[int, Meta(ge=1, le=2**31 - 1)]
StopBound = Annotated[int, Meta(ge=1, le=1024)]


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[models.<id>.rewriting.limits]`: how much one request may ask for. sparkd rejects more before it loads the
    model."""

    n: Annotated[
        PositiveBound, Meta(description="The highest `n` and `best_of`: responses to one prompt.")
    ] = 16
    prompts: Annotated[
        PositiveBound, Meta(description="The most prompts in one request to /v1/completions.")
    ] = 256
    inputs: Annotated[
        PositiveBound, Meta(description="The most inputs in one request to /v1/embeddings.")
    ] = 2048
    logit_bias: Annotated[
        Bound,
        Meta(
            description="The most entries of `logit_bias`, `bad_words`, `stop_token_ids` and `logprob_token_ids`."
        ),
    ] = 1024
    logprobs: Annotated[
        Bound,
        Meta(
            description="The highest `top_logprobs` and `logprobs`: alternatives for each token of a response."
        ),
    ] = 20
    prompt_logprobs: Annotated[
        Bound,
        Meta(
            description="The highest `prompt_logprobs`: alternatives for each token of a prompt. 0: no such requests."
        ),
    ] = 20
    tokens: Annotated[
        PositiveBound,
        Meta(
            description="The highest limit of a response's tokens, for a model whose context is unknown. With "
            "`cap_tokens` the limit is lowered instead."
        ),
    ] = 1048576
    stops: Annotated[
        StopBound,
        Meta(description="The most stop strings. The first ones are used, others are left out."),
    ] = 64
