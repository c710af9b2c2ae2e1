"""One text on the page: scores first, then its words; two texts; a problem of the words costs no score."""

import pytest

from models.runtime.cache import ModelCache
from models.settings import Settings
from tabs.sentiment import one_text
from tabs.sentiment.one_text import NAMES
from tabs.shared.context import Context
from tabs.shared.events import PageError

SETTINGS = Settings(device="cpu", idle_minutes=0)
KOREAN = "배우들 연기는 좋은데 이야기가 너무 지루해요."


@pytest.fixture(scope="module")
def context():
    with_models = ModelCache(SETTINGS)
    yield Context(SETTINGS, with_models)
    with_models.close()


def steps(updates) -> list[dict[str, str]]:
    """What changes, update by update, without what stays."""
    changes = []
    for update in updates:
        by_name = dict(zip(NAMES, update, strict=True))
        changes.append({k: v for k, v in by_name.items() if isinstance(v, str | tuple) and v})
    return changes


def analyze(context, text, other="", model="auto", method="gradients"):
    """Both events of a click: the scores, then the words."""
    changes = list(one_text._analyze(context, None, text, other, model))
    by_name = [dict(zip(NAMES, update, strict=True)) for update in changes]
    code = [n["code"] for n in by_name if isinstance(n["code"], str)][-1]
    return steps([*changes, *one_text._go_on(context, None, by_name[-1]["next"], method, code)])


def test_the_scores_come_first_and_the_words_follow_without_a_click(context):
    changes = analyze(context, KOREAN)
    first = next(i for i, change in enumerate(changes) if "result" in change)
    marks = next(i for i, c in enumerate(changes) if "marked-words" in c.get("words", ""))
    assert first < marks
    assert "NSMC" in changes[first]["result"], "what it was trained on"
    code = changes[-1]["code"]
    assert "sorted(enumerate(scores)" in code
    assert "LayerIntegratedGradients" in code
    compile(code, "recipe", "exec")


def test_two_texts_stand_under_each_other_and_are_explained_for_the_same_class(context):
    changes = analyze(context, "정말 재미있어요.", "정말 재미없어요.", method="leave_out")
    result = [c["result"] for c in changes if "result" in c][-1]
    assert result.count('class="quoted"') == 2
    assert result.index("정말 재미있어요.") < result.index("정말 재미없어요.")
    words = [c["words"] for c in changes if "words" in c][-1]
    assert words.count("marked-words") == 2
    assert words.count("reading-positive") == 2


def test_a_long_text_waits_for_a_wish(context):
    updates = list(one_text._analyze(context, None, KOREAN * 30, "", "auto"))
    last = dict(zip(NAMES, updates[-1], strict=True))
    assert last["next"] is None
    assert last["explain"]["visible"] is True
    assert "marked-words" not in last["words"]
    again = list(one_text._explain(context, None, last["last"], "leave_out", ""))
    assert any("marked-words" in str(dict(zip(NAMES, u, strict=True))["words"]) for u in again)


def test_another_class_or_method_explains_the_result_that_is_there(context):
    changes = steps(
        one_text._explain(context, None, (KOREAN, "", "auto", "negative"), "leave_out", "positive")
    )
    assert "reading-positive" in [c["words"] for c in changes if "words" in c][-1]
    assert not any("result" in change for change in changes)


def test_a_problem_with_the_words_stands_in_their_place(context):
    changes = steps(
        one_text._explain(context, None, (KOREAN, "", "auto", "negative"), "leave_out", "happy")
    )
    words = [c["words"] for c in changes if "words" in c][-1]
    assert "problem-line" in words
    assert "클래스" in words


def test_a_blank_text_is_refused_even_beside_another(context):
    with pytest.raises(PageError):
        analyze(context, "  ", "A fine film.")
