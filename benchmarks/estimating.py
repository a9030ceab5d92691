"""The error of the token estimate, by language and tokenizer: `python -m benchmarks.estimating`.

The texts were written for this purpose. The tokenizers themselves counted their tokens once: SmolLM2's tokenizer.json,
and those that the packages dashscope (Qwen), litellm (gpt-oss, DeepSeek), llama-models (Llama 3 and 4) and
mistral-common (Mistral) carry. The estimate was fitted to those marked "fitted";
a few of its bounds and weights were set with the others in view.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sparkd.rewriting.token_estimate import estimate_tokens

TEXTS = Path(__file__).parents[1] / "tests" / "rewriting" / "vectors" / "texts.json"


def main() -> None:
    texts: list[dict[str, Any]] = json.loads(TEXTS.read_text())
    for size in ("large", "small"):
        names = list(texts[0][size])
        print(f"\n{size:<22}{'estimate':>9}{'4 chars':>9}" + "".join(f"{name:>15}" for name in names))
        for text in texts:
            data = text["text"].encode()
            likely = estimate_tokens(data, size).likely
            quarter = len(text["text"]) / 4
            cells = (f"{count} ({likely / count - 1:+.0%})" for count in text[size].values())
            print(
                f"{text['language']:<12}{text['purpose']:<10}{likely:>9.0f}{quarter:>9.0f}"
                + "".join(f"{cell:>15}" for cell in cells)
            )


if __name__ == "__main__":
    main()
