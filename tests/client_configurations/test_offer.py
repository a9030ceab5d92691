"""What a client is offered follows from the catalogue, and from nothing else."""

from __future__ import annotations

from pathlib import Path

from sparkd.catalog.reading import read_catalogue
from sparkd.clients.offer import Key, make_offer
from tests.client_configurations.examples import ORIGIN, offer_to

SHIPPED = Path(__file__).resolve().parent.parent.parent / "models.toml"


def test_the_best_model_for_code_is_the_first_and_the_utility_model_the_last(tmp_path: Path) -> None:
    offer = offer_to("codex", tmp_path)
    assert [model.id for model in offer.models] == ["better", "coder", "unknown-context", "titles"]
    assert (offer.main.id, offer.small.id, offer.embedding) == ("better", "titles", ("vectors",))


def test_the_main_model_may_be_chosen_even_if_it_is_not_listed(tmp_path: Path) -> None:
    offer = offer_to("codex", tmp_path, main="by-hand")
    assert [model.id for model in offer.models][:2] == ["by-hand", "better"]


def test_without_a_utility_model_the_main_model_writes_the_titles(tmp_path: Path) -> None:
    assert offer_to("codex", tmp_path, has_utility=False).small.id == "better"


def test_limits_are_those_for_the_client_or_else_those_of_the_model(tmp_path: Path) -> None:
    limits = {model.id: (model.context, model.output) for model in offer_to("opencode", tmp_path).models}
    assert limits["coder"] == (30000, 4096)
    assert limits["better"] == (65536, 8192)
    assert limits["titles"] == (8192, 4096), "at least half of the context is for the prompt"
    assert limits["unknown-context"] == (None, None)
    other = {model.id: (model.context, model.output) for model in offer_to("codex", tmp_path).models}
    assert other["coder"] == (32768, 4096)


def test_a_client_waits_as_long_as_a_request_and_the_slowest_start(tmp_path: Path) -> None:
    assert offer_to("codex", tmp_path).seconds == 600 + 1200


def test_the_owners_choices_are_offered_after_the_models(tmp_path: Path) -> None:
    (tmp_path / "models.d").mkdir()
    (tmp_path / "models.d/choices.toml").write_text(
        '[choices]\ncoding = ["coder", "better"]\nsearch = ["vectors"]\n'
    )
    choice = offer_to("opencode", tmp_path).models[-1]
    assert (choice.id, choice.name, choice.context, choice.output) == ("coding", "coding", 65536, 8192)
    assert (choice.has_vision, choice.has_tools) == (True, True)
    assert [model.id for model in offer_to("codex", tmp_path).models][-2:] == ["titles", "coding"]


def test_the_shipped_models_are_offered() -> None:
    catalogue = read_catalogue(SHIPPED)
    offer = make_offer(catalogue, "opencode", origin=ORIGIN, key=Key(is_required=False))
    assert offer is not None
    assert len(offer.models) >= 12
    assert offer.small.id == "qwen3.5-0.8b"
