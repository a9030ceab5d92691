"""Methods about finished requests, usage and the history of models."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from sparkd.control.client.connection import ControlConnection
from sparkd.usage.columns import Columns
from sparkd.usage.results import History, HistorySummary, ModelHistory, RequestPage, UsageReport


class UsageMethods(ControlConnection):
    """Methods about what sparkd has recorded. `query` has the parameters of the endpoint, such as "limit" or "from"."""

    def requests(self, query: Mapping[str, str]) -> RequestPage:
        """One page of finished requests."""
        return self._request("GET", "/requests", RequestPage, query=query)

    def usage(self, query: Mapping[str, str]) -> UsageReport:
        """Usage by day or month."""
        return self._request("GET", "/usage", UsageReport, query=query)

    def measurements(self, span: float, step: int) -> Columns:
        """The machine in the last `span` seconds, in intervals of `step` seconds."""
        query = {"span": f"{span:.0f}", "step": str(step)}
        return self._request("GET", "/measurements", Columns, query=query)

    def history(self, query: Mapping[str, str]) -> History:
        """The states of all models in a period."""
        return self._request("GET", "/history", History, query=query)

    def model_history(self, name: str, query: Mapping[str, str]) -> ModelHistory:
        """The states of one model in a period. `name` is an id: the model may have left the catalogue."""
        return self._request("GET", f"/history/{quote(name, safe='')}", ModelHistory, query=query)

    def history_summary(self, query: Mapping[str, str]) -> HistorySummary:
        """Swaps by day, loads by model, and what the memory guard did."""
        return self._request("GET", "/history/summary", HistorySummary, query=query)
