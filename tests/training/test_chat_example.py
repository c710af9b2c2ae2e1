"""The example that the chat opens with is what the shipped small talk says, to its last probability."""

import json

import numpy as np
import pytest

from models.runtime.cache import ModelCache
from models.settings import Settings
from training.chat_example import MESSAGES, TEMPERATURES, path_of, record


@pytest.fixture(scope="module")
def cache():
    cache = ModelCache(Settings(GENLAB_DEVICE="cpu"))
    yield cache
    cache.close()


@pytest.mark.parametrize("language", MESSAGES)
def test_the_stored_example_is_made_again(cache, language):
    """If this fails after small talk was trained anew: python -m training.chat_example."""
    content = json.loads(path_of(language).read_text(encoding="utf-8"))
    again = record(cache, language, [content["seed"]])
    ours, theirs = content.pop("tokens"), again.pop("tokens")
    assert again == content
    assert [row["id"] for row in ours] == [row["id"] for row in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert [row[:2] for row in one["alternatives"]] == [
            row[:2] for row in other["alternatives"]
        ]
        for name in ("raw", "entropy"):
            assert one[name] == pytest.approx(other[name], abs=1e-3)
        assert np.allclose(one["others"], other["others"], atol=0.05)


@pytest.mark.parametrize("language", MESSAGES)
def test_rows_and_others_make_one_at_temperature_one(language):
    at_one = TEMPERATURES.index(1.0)
    for row in json.loads(path_of(language).read_text(encoding="utf-8"))["tokens"]:
        values = {id_: raw for _, id_, raw in row["alternatives"]} | {row["id"]: row["raw"]}
        assert sum(values.values()) + np.exp(row["others"][at_one]) == pytest.approx(1, abs=1e-3)
        assert len(row["others"]) == len(TEMPERATURES)
