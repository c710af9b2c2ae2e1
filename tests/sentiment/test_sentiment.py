"""The sentiment engine: known values, long texts, and heads that must be refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.contract import Finished, ModelSpec
from models.errors import Damaged, InvalidInput, ModelError, NotFound, Refused, UntrainedHead
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.sentiment.events import Scores
from models.sentiment.requests import SentimentRequest
from models.settings import Settings
from models.tasks import recipe
from models.text.language import split_pieces
from models.weights import sources
from tests import tiny

SENTENCES = ["The film was good.", "Not bad, and not boring!", "A very bad film?"]
LONG = " ".join(SENTENCES * 8)


@pytest.fixture(scope="module")
def starters(tmp_path_factory):
    """Starters of this module: a plain classifier, an adapter, and what must be refused."""
    folder = tmp_path_factory.mktemp("genlab") / "models" / "starter"
    tiny.classifier(folder / "plain")
    tiny.classifier(folder / "several", ("joy", "anger", "fear"), **_MULTI_LABEL)
    tiny.classifier(folder / "stars", ("stars",))
    tiny.bert_base(folder / "base")
    save_adapter(folder / "adapter")
    return folder


def save_adapter(folder: Path) -> Path:
    """A LoRA adapter with a head on all-MiniLM-L6-v2, untrained but not without effect."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    from models.weights.packages import MINILM, package_folder

    torch.manual_seed(0)
    labels = tiny.label_options(("negative", "positive"))
    base = AutoModelForSequenceClassification.from_pretrained(package_folder(MINILM), **labels)
    file = ["pooler", "classifier"]
    # Both factors random (init_lora_weights), so that the adapter changes what the model says.
    lora = LoraConfig(
        task_type="SEQ_CLS",
        r=4,
        target_modules=["query", "value"],
        modules_to_save=file,
        init_lora_weights=False,
    )
    model = get_peft_model(base, lora)
    with torch.no_grad():
        model.base_model.model.classifier.modules_to_save["default"].weight.mul_(20)
    model.save_pretrained(folder)
    model.base_model.model.config.save_pretrained(folder)
    text = json.loads((folder / "adapter_config.json").read_text())
    text["base_model_name_or_path"] = "sentence-transformers/all-MiniLM-L6-v2"  # not its path
    (folder / "adapter_config.json").write_text(json.dumps(text))
    return folder


_MULTI_LABEL = {"problem_type": "multi_label_classification"}


@pytest.fixture
def cache(starters, monkeypatch):
    monkeypatch.setattr(sources, "STARTERS", starters)
    with_models = ModelCache(Settings(device="cpu", idle_minutes=0))
    yield with_models
    with_models.close()


def spec_of(name: str, source: str = "starter") -> ModelSpec:
    return ModelSpec(
        id=f"tests/{name}",
        task="sentiment",
        engine="models.sentiment.transformers_engine:TransformersSentiment",
        source=f"{source}:{name}",
        label=name,
        cpu_threads=1,
    )


def analyze(cache: ModelCache, name: str, text: str) -> tuple[Scores, Finished]:
    events = list(run(cache, spec_of(name), SentimentRequest.of(text=text)))
    return next(e for e in events if isinstance(e, Scores)), events[-1]


def softmax_of(folder: Path, text: str) -> dict[str, float]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    inputs = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.inference_mode():
        scores = model(**inputs).logits.softmax(-1)[0].tolist()
    return dict(zip(model.config.id2label.values(), scores, strict=True))


def test_scores_are_the_softmax_of_the_model_highest_first(cache, starters):
    scores, end = analyze(cache, "plain", SENTENCES[0])
    expected = softmax_of(starters / "plain", SENTENCES[0])
    assert dict(scores.scores) == pytest.approx(expected, abs=1e-6)
    assert [p for _, p in scores.scores] == sorted((p for _, p in scores.scores), reverse=True)
    assert (scores.parts, end.placement.dtype) == (1, "float32")


def test_long_text_is_the_mean_of_its_pieces_weighted_by_tokens(cache, starters):
    from transformers import AutoTokenizer

    scores, _ = analyze(cache, "plain", LONG)
    with cache.lease(spec_of("plain"), _stop(), lambda event: None) as lease:
        pieces = [piece for _, piece in lease.engine.split(LONG)]
    tokenizer = AutoTokenizer.from_pretrained(starters / "plain")
    counts = [len(tokenizer(piece)["input_ids"]) for piece in pieces]
    assert scores.parts == len(pieces) > 3
    assert max(counts) <= 32
    assert "".join(pieces) == LONG
    assert all(piece.strip()[-1] in ".!?" for piece in pieces)
    positive = [softmax_of(starters / "plain", piece)["positive"] for piece in pieces]
    by_hand = sum(p * n for p, n in zip(positive, counts, strict=True)) / sum(counts)
    assert dict(scores.scores)["positive"] == pytest.approx(by_hand, abs=1e-6)


def _stop():
    from models.contract import Stop

    return Stop()


def test_pieces_end_at_sentences_then_words_then_anywhere():
    def offsets(text: str) -> list[tuple[int, int]]:
        return [(i, i + 1) for i, c in enumerate(text) if not c.isspace()]

    assert split_pieces("Ab. Cd. Ef.", offsets("Ab. Cd. Ef."), 7) == ["Ab. Cd. ", "Ef."]
    assert split_pieces("ab\ncd ef", offsets("ab\ncd ef"), 5) == ["ab\n", "cd ef"]
    assert split_pieces("ab cd ef", offsets("ab cd ef"), 5) == ["ab cd ", "ef"]
    assert split_pieces("abcdefg", offsets("abcdefg"), 3) == ["abc", "def", "g"]
    assert split_pieces("좋아요. 싫어요.", offsets("좋아요. 싫어요."), 6) == ["좋아요. ", "싫어요."]


@pytest.mark.parametrize("text", ["🙂🙂🙂", "이 영화는 좋아요", "x" * 500, "Ünïcödé\u200b", "a\0b"])
def test_any_text_has_a_result(cache, text):
    scores, _ = analyze(cache, "plain", text)
    assert sum(p for _, p in scores.scores) == pytest.approx(1)


def test_the_longest_text_allowed_has_a_result(cache):
    scores, _ = analyze(cache, "plain", ("good " * 4000)[:20_000])
    assert scores.parts > 100


def test_text_without_a_token_is_refused_as_blank(cache):
    with pytest.raises(InvalidInput) as problem:
        analyze(cache, "plain", "\u200b\u200b")
    assert problem.value.code == "invalid_blank"


def test_multi_label_scores_are_sigmoids_of_their_own(cache):
    scores, _ = analyze(cache, "several", SENTENCES[0])
    assert scores.multi_label
    assert {name for name, _ in scores.scores} == {"joy", "anger", "fear"}
    assert sum(p for _, p in scores.scores) != pytest.approx(1)


def refusal(cache: ModelCache, name: str) -> ModelError:
    with pytest.raises(ModelError) as problem:
        analyze(cache, name, SENTENCES[0])
    assert not cache.status(), "nothing of a refused model stays"
    return problem.value


def test_an_untrained_head_is_refused_with_the_names_of_its_weights(cache):
    problem = refusal(cache, "base")
    assert isinstance(problem, UntrainedHead)
    assert "classifier.weight" in problem.params["missing"]
    assert problem.params["model"] == "base"


def test_a_head_of_another_size_counts_as_untrained(cache, starters):
    shutil.copytree(starters / "plain", starters / "resized")
    config = json.loads((starters / "resized" / "config.json").read_text())
    config["id2label"] = {"0": "a", "1": "b", "2": "c"}
    (starters / "resized" / "config.json").write_text(json.dumps(config))
    assert "classifier.weight" in refusal(cache, "resized").params["missing"]


def test_a_regression_head_has_no_classes(cache):
    problem = refusal(cache, "stars")
    assert (type(problem), problem.code) == (Refused, "refused_regression")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("how", ["missing", "cut"])
def test_a_damaged_starter_names_its_file(cache, starters, name, how):
    bad = starters / f"broken-{how}-{name}"
    shutil.copytree(starters / "plain", bad)
    whole = (bad / name).read_bytes()
    (bad / name).unlink()
    if how == "cut":
        (bad / name).write_bytes(whole[: len(whole) // 2])
    problem = refusal(cache, bad.name)
    assert isinstance(problem, Damaged)
    assert problem.params["file"] == name


def test_pickles_and_other_kinds_of_model_are_refused(cache, starters, monkeypatch):
    with_pickle = tiny.classifier(starters / "pickled")
    torch.save({}, with_pickle / "pytorch_model.bin")
    (with_pickle / "model.safetensors").unlink()
    monkeypatch.setattr("models.weights.hub.cached_path", lambda spec: starters / spec.name)
    request = SentimentRequest.of(text="good")
    with pytest.raises(Refused) as problem:
        list(run(cache, spec_of("pickled", "hub"), request))
    assert problem.value.code == "refused_pickle"
    shutil.copytree(starters / "plain", starters / "picture")
    (starters / "picture" / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(NotFound) as problem:
        list(run(cache, spec_of("picture", "hub"), request))
    assert problem.value.code == "not_found_task"


def test_an_adapter_is_merged_and_keeps_its_scores(cache, starters):
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from models.weights.packages import MINILM, package_folder

    base = AutoModelForSequenceClassification.from_pretrained(package_folder(MINILM), num_labels=2)
    model = PeftModel.from_pretrained(base, starters / "adapter").eval()
    inputs = AutoTokenizer.from_pretrained(package_folder(MINILM))(
        SENTENCES[0], return_tensors="pt"
    )
    with torch.inference_mode():
        apart = model(**inputs).logits.softmax(-1)[0].tolist()
    scores, _ = analyze(cache, "adapter", SENTENCES[0])
    assert dict(scores.scores)["positive"] == pytest.approx(apart[1], abs=1e-5)


def test_an_adapter_stays_on_the_processor_where_torch_says_there_is_a_gpu(cache, monkeypatch):
    """As on ZeroGPU: peft would put it on CUDA, which is not there outside a call."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    scores, end = analyze(cache, "adapter", SENTENCES[0])
    assert len(scores.scores) == 2
    assert end.placement.device == "cpu"


def test_an_adapter_without_its_head_is_refused(cache, starters):
    from safetensors.torch import load_file, save_file

    shutil.copytree(starters / "adapter", starters / "headless")
    weights = starters / "headless" / "adapter_model.safetensors"
    rest = {k: v for k, v in load_file(weights).items() if "classifier" not in k}
    save_file(rest, weights)
    assert refusal(cache, "headless").params["missing"] == "classifier.bias, classifier.weight"


def test_recipes_give_the_same_scores_in_another_process(cache, starters):
    texts = (SENTENCES[1], LONG + ' "Quotes"\nand {braces}, 안녕!')
    requests = [(name, text) for name in ("plain", "adapter") for text in texts]
    results = [analyze(cache, name, text) for name, text in requests]
    scripts = [
        recipe(spec_of(name), SentimentRequest.of(text=text), end.placement)
        for (name, text), (_, end) in zip(requests, results, strict=True)
    ]
    # One fresh process for all, each script in a namespace of its own.
    one = "import sys\nfor s in sys.argv[1:]:\n    exec(s, {})\n    print('=====')"
    ran = subprocess.run(
        [sys.executable, "-c", one, *scripts],
        cwd=starters.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    for (scores, _), output in zip(results, ran.stdout.split("=====\n")[:-1], strict=True):
        rows = [line.split("  ") for line in output.splitlines()]
        assert [label for _, label in rows] == [label for label, _ in scores.scores]
        expected = [p for _, p in scores.scores]
        assert [float(score) for score, _ in rows] == pytest.approx(expected, abs=1e-4)
