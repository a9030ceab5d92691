"""What the recorded past says about each model."""

from __future__ import annotations

import time
from pathlib import Path

from sparkd.catalog.settings import Usage
from sparkd.usage.reader import UsageReader
from sparkd.usage.records import RequestRecord, StateChange
from sparkd.usage.store import UsageStore


def test_models_have_their_last_use_loads_and_speed(tmp_path: Path) -> None:
    store = UsageStore(tmp_path / "usage.sqlite", Usage, "1")
    now = time.time()
    store.start(None)
    store.add_requests(
        [
            RequestRecord(
                ended=now - age,
                id=str(age),
                model="a",
                asked="a",
                endpoint="/v1/chat/completions",
                status=200,
                streamed=True,
                first_token_seconds=1.0,
                seconds=3.0,
                tokens_out=100,
            )
            for age in (60, 10)
        ]
    )
    store.add_change(StateChange(at=now, model="b", run=1, state="starting", after=0.0))
    uses = UsageReader(store.path, store).model_uses()
    store.close()
    assert uses["a"].last_used == now - 10
    assert uses["a"].loads is None
    assert uses["a"].speed is not None
    assert 49 <= uses["a"].speed <= 50
    assert (uses["b"].loads, uses["b"].speed) == (1, None)
