"""Fetching a model at one click: progress, stop, terms, and sentences where it cannot be had."""

import html
import re
import threading
import time
from dataclasses import replace

import gradio as gr
import pytest

from models.contract import ModelSpec
from models.runtime.cache import ModelCache
from models.settings import Settings
from models.tasks import CHAT
from models.weights import index
from models.weights.sources import is_here
from tabs.shared import weights_offer
from tabs.shared.context import Context
from tabs.shared.strings import STRINGS
from tests.weights.test_index import model, packages, rest_of_folder  # noqa: F401 - a fixture

KEY = "chat org/model"


@pytest.fixture(autouse=True)
def catalogue(monkeypatch):
    """A catalogue of one small model of the package index on this machine."""
    specs: list[ModelSpec] = [model()]
    monkeypatch.setattr(weights_offer, "TASKS", (replace(CHAT, models=specs),))
    return specs


def page(**values) -> Context:
    settings = Settings.model_validate(values)
    return Context(settings, ModelCache(settings))


def click(context: Context, accepts: bool = False, key: str = KEY):
    """The updates of a click: status, picker, about, two buttons, and one that knows of models."""
    end = lambda: (is_here(model()),)  # noqa: E731
    return weights_offer.fetch_handler(context, "", end, accepts)(key)


def words(line: str, language: str = "en") -> str:
    result = re.findall(rf'<span class="in-{language}"[^>]*>(.*?)</span>', line)
    return html.unescape(" ".join(result))


def test_one_click_brings_the_model_and_says_how_far_it_is(packages, tmp_path):  # noqa: F811
    packages.pause = 0.05
    updates = list(click(page()))
    lines = [words(str(one[0])) for one in updates]
    assert any(re.search(r"\d+ MB of 6 MB", line) for line in lines), lines
    assert "Model is here now" in lines[-1]
    assert updates[-1][5] is True
    assert updates[-1][1]["choices"] == []  # nothing is left to fetch
    assert rest_of_folder(tmp_path) == [f"index/{model().sha256[:16]}/model.gguf"]


def test_leaving_ends_the_transfer_and_leaves_nothing_half(packages, tmp_path):  # noqa: F811
    packages.pause = 0.5
    updates = click(page())
    next(updates)
    next(updates)
    start = time.monotonic()
    updates.close()
    assert time.monotonic() - start < 0.5
    for _ in range(100):
        if not any(one.name.startswith("fetch") for one in threading.enumerate()):
            break
        time.sleep(0.1)
    assert rest_of_folder(tmp_path) == []


def test_terms_are_accepted_by_their_own_click_only(packages, catalogue):  # noqa: F811
    catalogue[0] = gated = model(gated=True, terms="https://example.org/terms", licence="Terms")
    about, start, accept = weights_offer._about(gated)
    assert (start["visible"], accept["visible"]) == (False, True)
    assert "https://example.org/terms" in about
    assert "Terms" in about
    *_, last = click(page())
    assert "has terms of its own" in words(last[0])
    assert not is_here(gated)
    *_, last = click(page(), accepts=True)
    assert "is here now" in words(last[0])
    assert index.is_accepted(gated)


def test_what_cannot_be_had_is_a_sentence_in_both_languages(packages, tmp_path):  # noqa: F811
    packages.wheels.clear()
    *_, last = click(page())
    for language in STRINGS:
        start = STRINGS[language]["errors.not_found_index"].partition("{")[0].strip("“‘ ")
        assert start in words(last[0], language)
    assert 'role="alert"' in last[0]
    assert all(other == gr.skip() for other in last[1:])
    assert rest_of_folder(tmp_path) == []


@pytest.mark.parametrize(
    ("values", "offers"),
    [
        ({}, [True, True]),
        ({"public": True}, [False, False]),
        ({"downloads": False}, [False, False]),
        ({"public": True, "public_downloads": True}, [True, False]),
    ],
    ids=["own machine", "public", "downloads off", "public, downloads on"],
)
def test_a_page_offers_what_its_host_allows(packages, catalogue, values, offers):  # noqa: F811
    """A stranger on a public page fetches nothing unless the host allows it, and never accepts terms."""
    plain, gated = model(), model(id="org/gated", gated=True, terms="https://example.org/terms")
    catalogue[:] = [plain, gated]
    context = page(**values)
    may = context.settings.may_download
    listing = [may and one in weights_offer.missing(context.settings) for one in (plain, gated)]
    assert listing == offers
    *_, last = click(context, accepts=True, key="chat org/gated")
    assert ("is here now" in words(str(last[0]))) is offers[1]
