"""The past of the scene: a week of loads, a month of requests, a day of measurements. All of it is computed."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, Final

from sparkd.usage.records import Measurement, Occurrence, RequestRecord
from tests.page.past import DAY, HOUR, make_load, make_request, write_past

GIB: Final = 1 << 30
OPENCODE: Final[dict[str, Any]] = {"client": "laptop", "program": "opencode"}
CLAUDE: Final[dict[str, Any]] = {"client": "ada", "program": "claude-code"}
CHAT: Final[dict[str, Any]] = {"client": "home", "program": "open-webui"}
NIGHTLY: Final[dict[str, Any]] = {
    "client": "nightly",
    "program": "openai-python",
    "streamed": False,
    "first_token_seconds": None,
}

STAYS: Final = (
    ("gpt-oss-20b", 22.0, 5.0, {"stop_reason": "evicted", "evicted_for": "llama-3.3-70b"}),
    ("llama-3.3-70b", 16.9, 2.0, {"stop_reason": "evicted", "evicted_for": "qwen3-coder-30b"}),
    ("qwen3-coder-30b", 14.7, 6.5, {"stop_reason": "idle"}),
    ("bge-m3", 13.0, 9.0, {"stop_reason": "idle"}),
    ("gemma-3-12b-vision", 11.5, 3.0, {"stop_reason": "guard", "text": "0.9 GiB were left."}),
    ("gpt-oss-20b", 7.5, 5.0, {"stop_reason": "operator"}),
    ("gemma-3-12b-vision", 3.2, 1.2, {"stop_reason": "idle"}),
)
"""Model, hours ago, hours loaded, and why it left; every day of the week is like the last one."""

SHARES: Final[tuple[tuple[str, dict[str, Any], int, int], ...]] = (
    ("qwen3-coder-30b", OPENCODE, 900, 420),
    ("gpt-oss-20b", CLAUDE, 2600, 310),
    ("gpt-oss-20b", CHAT, 180, 240),
    ("gemma-3-12b-vision", CHAT, 640, 120),
    ("bge-m3", NIGHTLY, 5200, 40),
)
"""Model, client, tokens in and out of its requests."""


QUESTION: Final = "Why are there two high tides a day? Show me how to compute the next one."

ANSWER: Final = """\
The moon pulls on the near ocean more than on the earth, and on the earth more than on the far ocean. So the water \
bulges on **both** sides, and the earth turns through both bulges once a day.

| tide | where | time |
|---|---|---|
| high | below the moon | 0 h |
| low | a quarter turn on | 6 h 13 min |
| high | opposite the moon | 12 h 25 min |

```python
from datetime import datetime, timedelta

def next_high_tide(last: datetime) -> datetime:
    return last + timedelta(hours=12, minutes=25)
```
"""


def write_scene_past(folder: Path) -> None:
    """Write the database of a sparkd that has run in `folder` for a month."""
    changes = [
        change
        for day in range(7)
        for model, ago, length, end in STAYS
        for change in make_load(model, ago * HOUR + day * DAY, length * HOUR - 65, **end)
    ]
    guard = [
        Occurrence(at=time.time() - 8.5 * HOUR - day * DAY, kind="guard", model="gemma-3-12b-vision",
                   text="0.9 GiB were left, less than 1.5 GiB.")
        for day in range(7)
    ]  # fmt: skip
    write_past(folder, requests=_requests(), changes=changes, occurrences=guard, measurements=_measurements())


def conversation() -> dict[str, Any]:
    """What the chat keeps of a conversation in the storage of its tab."""
    began = 1000 * time.time()
    answer = {
        "id": 2, "role": "assistant", "model": "gpt-oss-20b", "servedBy": None, "text": ANSWER, "calls": [],
        "reasoning": "The user asks about tides. I explain both bulges, then give a small program.", "state": "done",
        "problem": "", "finish": "stop", "rewrites": ["cap-tokens"], "requestId": "page-1",
        "usage": {"in": 84, "cached": 64, "out": 268}, "began": began, "first": began + 410, "ended": began + 6900,
    }  # fmt: skip
    question = {"id": 1, "role": "user", "images": [], "text": QUESTION}
    return {"settings": {"model": "gpt-oss-20b", "system": "Answer briefly."}, "turns": [question, answer]}


def _requests() -> list[RequestRecord]:
    """Of a month, fewer at weekends."""
    found: list[RequestRecord] = []
    for day in range(30):
        busy = 0.35 if day % 7 in (0, 6) else 1.0 + 0.3 * math.sin(day)
        for index, (model, client, tokens_in, tokens_out) in enumerate(SHARES):
            for number in range(round((9 - index) * busy)):
                ago = day * DAY + 600 + number * 1900 + index * 330
                varied = 1 + 0.4 * math.sin(7 * number + index + day)
                wait = 0.0 if number else 41.0
                seconds = round(tokens_out * varied / 38, 2)
                fields: dict[str, Any] = {
                    "model": model, "asked": model, "queue_seconds": 0.1, "load_seconds": wait,
                    "tokens_in": round(tokens_in * varied), "tokens_out": round(tokens_out * varied),
                    "tokens_cached": round(tokens_in * varied * 0.6), "rewrites": ("cap-tokens",) if number % 3 else (),
                    "first_token_seconds": 0.6 + wait, "seconds": seconds + 0.7 + wait,
                    **client,
                }  # fmt: skip
                if (number + day) % 17 == 16:
                    fields |= {"status": 499, "gone": "decoding"}
                found.append(make_request(len(found), ago, **fields))
    return found


def _measurements() -> list[Measurement]:
    """A day of minutes, in which sparkd did not run for an hour."""
    minute = time.time() // 60 * 60
    found: list[Measurement] = []
    for each in range(24 * 60):
        if 540 < each < 600:
            continue
        load = max(0.0, math.sin(each / 97) + 0.5 * math.sin(each / 23) + 0.3 * math.sin(each * 1.7))
        found.append(
            Measurement(
                at=minute - 60 * each, tokens_out=62 * load, tokens_in=240 * load, peak_out=80 * load,
                in_flight=round(4 * load, 1), waiting=max(0.0, load - 1), used=(5 + 5 * load) * GIB,
                available=(16 - 5 * load) * GIB, gpu=min(0.97, load), temperature=41 + 24 * load, power=12 + 58 * load,
                clock=(0.8 + min(1.6, 1.6 * load)) * 1e9, pressure=0.01 * load,
            )
        )  # fmt: skip
    return found
