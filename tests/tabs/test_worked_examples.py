"""What the page shows before the first use is what the models give: recorded again and compared."""

from collections.abc import Mapping

import pytest

from models.runtime.cache import ModelCache
from models.settings import Settings
from tabs.shared.strings import LANGUAGES
from tabs.shared.worked_examples import recordings, worked_example
from training.worked_examples import Recorder

WORD2VEC = "sentence_similarity.word2vec"


def differences(one, two, where=""):
    """Places where two recordings differ by more than a rounding."""
    if isinstance(one, Mapping):
        keys = one.keys() | two.keys()
        return [
            d for key in keys for d in differences(one.get(key), two.get(key), f"{where}.{key}")
        ]
    if isinstance(one, list | tuple):
        if len(one) != len(two):
            return [where]
        pairs = zip(one, two, strict=True)
        return [d for at, (a, b) in enumerate(pairs) for d in differences(a, b, f"{where}[{at}]")]
    if isinstance(one, float):
        if ".points" in where:  # the sign of a principal component is the library's choice
            one, two = abs(one), abs(two)
        return [] if one == pytest.approx(two, abs=2e-3) else [f"{where}: {one} {two}"]
    return [] if one == two else [f"{where}: {one!r} {two!r}"]


def test_the_recordings_are_what_the_models_give():
    cache = ModelCache(Settings(device="cpu", idle_minutes=0))
    try:
        again = dict(Recorder(cache).record())
    finally:
        cache.close()
    view = dict(recordings())
    trainings = [record.pop(WORD2VEC) for record in (again, view)]
    assert not differences(again, view)
    for language in LANGUAGES:  # other processors round otherwise, and a training adds that up
        one, two = (training[language] for training in trainings)
        assert one["losses"] == pytest.approx(two["losses"], rel=0.1)
        for word, near in two["done"]["neighbours"].items():
            same = {w for w, _ in near[:5]} & {w for w, _ in one["done"]["neighbours"][word][:5]}
            assert len(same) >= 3


def test_each_example_is_there_in_both_languages_and_says_that_it_is_one():
    for part, languages in recordings().items():
        assert set(languages) == set(LANGUAGES), part
    page = worked_example("sentiment.one", lambda recording: recording["text"])
    assert page.count("example-note") == 2
    assert "An example" in page
    assert "예시" in page


def test_no_model_is_loaded_for_them():
    import subprocess
    import sys

    code = "import sys, demo; print('torch' in sys.modules, len(demo.context.cache.status()))"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.split()[-2:] == ["False", "0"]
