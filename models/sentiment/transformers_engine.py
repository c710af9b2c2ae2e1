"""The engine: a classifier loaded from its files, and one whose answers would be random refused."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from models.contract import ModelSpec, Placement, Request, Stop
from models.errors import Refused, UntrainedHead
from models.sentiment.attribution import attribute
from models.sentiment.classifier import TextClassifier, is_multi_label
from models.sentiment.events import SentimentEvent
from models.sentiment.requests import AttributionRequest, ManyTextsRequest, SentimentRequest
from models.settings import Settings
from models.torch_tools import by_onednn, loading, token_limit, torch_dtype
from models.weights.packages import MINILM, package_folder

ADAPTER = "adapter_config.json"
ENCODER = "sentence-transformers/all-MiniLM-L6-v2"  # the one encoder of the adapters here
_PEFT_PREFIX = "base_model.model."


class TransformersSentiment(TextClassifier):
    """A classifier with a trained head; one that was never trained is refused."""

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Bring a classifier into memory.

        Args:
            spec: the catalogue entry.
            folder: a transformers folder, or a peft adapter with the classifier's config.json.
            placement: device and dtype.
            settings: not used.

        Raises:
            UntrainedHead: weights that decide the answer are not in the files; names them.
            Refused: a regression head, which has no classes (refused_regression); an adapter of
                another encoder (refused_adapter); pickled weights; code of its own.
            Damaged: a file is missing or broken.
        """
        assert folder is not None, "a classifier has weights"
        model, tokenizer, limit = load_classifier(spec, folder, torch_dtype(placement))
        by_onednn(model)
        return cls(model.to(placement.device), tokenizer, limit)

    def stream(self, request: Request, stop: Stop) -> Generator[SentimentEvent]:
        """Answer a SentimentRequest, an AttributionRequest or a ManyTextsRequest.

        Raises:
            InvalidInput: the tokenizer finds no token in the text (invalid_blank); see `attribute`.
        """
        if isinstance(request, AttributionRequest):
            yield from attribute(self, request, stop)
        elif isinstance(request, ManyTextsRequest):
            yield from self.score_rows(request.texts, stop)
        elif isinstance(request, SentimentRequest):
            yield from self.score_text(request.text, stop)


def load_classifier(spec: ModelSpec, folder: Path, dtype: torch.dtype) -> tuple[Any, Any, int]:
    """Load a transformers folder, or a peft adapter with the classifier's config.json.

    Returns:
        The model (on the CPU), its tokenizer, and how many tokens it takes at once.

    Raises:
        UntrainedHead, Refused, Damaged: as `TransformersSentiment.load` says.
    """
    if (folder / ADAPTER).is_file():
        return _load_adapter(spec, folder, dtype)
    return _load_plain(spec, folder, dtype)


def _load_plain(spec: ModelSpec, folder: Path, dtype: torch.dtype) -> tuple[Any, Any, int]:
    with loading(spec, folder, "config.json", "model.safetensors", "tokenizer.json"):
        config = AutoConfig.from_pretrained(folder)
        _name_classes(folder, config)
        _refuse_regression(spec, config)
        model, missing = _classifier(folder, config, dtype)
        _refuse_untrained(spec, missing)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return model, tokenizer, token_limit(model, tokenizer)


def _name_classes(folder: Path, config: Any) -> None:
    """Take the classes from label2id where the file has no id2label: transformers would take two."""
    raw_config = json.loads((folder / "config.json").read_text("utf-8"))
    numbers = raw_config.get("label2id")
    if (
        "id2label" not in raw_config
        and "num_labels" not in raw_config
        and isinstance(numbers, dict)
    ):
        config.id2label = {int(number): name for name, number in numbers.items()}


def _load_adapter(spec: ModelSpec, folder: Path, dtype: torch.dtype) -> tuple[Any, Any, int]:
    """An adapter (LoRA, Hu et al. 2022) merged into the encoder: as fast as a plain classifier."""
    from peft import PeftModel

    base = package_folder(MINILM)
    with loading(spec, folder, "config.json", "adapter_model.safetensors"):
        encoder = json.loads((folder / ADAPTER).read_text("utf-8"))["base_model_name_or_path"]
        if encoder != ENCODER:
            raise Refused("refused_adapter", model=spec.label, encoder=str(encoder))
        config = AutoConfig.from_pretrained(folder)
        _refuse_regression(spec, config)
        model, missing = _classifier(base, config, dtype)
        with safe_open(folder / "adapter_model.safetensors", "pt") as weights:
            names = {name.removeprefix(_PEFT_PREFIX) for name in weights.keys()}  # noqa: SIM118
        _refuse_untrained(spec, missing - names)
        # Of itself peft would put it where torch finds a GPU, which on ZeroGPU is none.
        model = PeftModel.from_pretrained(model, folder, torch_device="cpu")
        model = model.merge_and_unload().to(dtype)
        tokenizer = AutoTokenizer.from_pretrained(base)
        own_limit = json.loads((base / "sentence_bert_config.json").read_text("utf-8"))
        return model, tokenizer, min(token_limit(model, tokenizer), own_limit["max_seq_length"])


def _classifier(folder: Path, config: Any, dtype: torch.dtype) -> tuple[Any, set[str]]:
    """The model, and the names of its weights that are not in the files or do not fit."""
    model, info = AutoModelForSequenceClassification.from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        use_safetensors=True,
        trust_remote_code=False,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    # A mismatch is (name, shape in the file, shape in the model).
    return model, {*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])}


def refuse_headless(spec: ModelSpec, config: dict[str, Any]) -> None:
    """Refuse a hub model by its config.json alone, before its weights are fetched.

    Raises:
        UntrainedHead: it was saved as another kind of model than a classifier; names the weights
            that it does not have.
    """
    classes = config.get("architectures") or []
    if not classes or any("ForSequenceClassification" in name for name in classes):
        return
    with torch.device("meta"):  # the names of the weights, without the weights
        model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(**config))
    encoder = f"{model.base_model_prefix}."
    _refuse_untrained(spec, {n for n, _ in model.named_parameters() if not n.startswith(encoder)})


def _refuse_regression(spec: ModelSpec, config: Any) -> None:
    several = is_multi_label(config)
    if config.problem_type == "regression" or (config.num_labels < 2 and not several):
        raise Refused("refused_regression", model=spec.label)


def _refuse_untrained(spec: ModelSpec, missing: set[str]) -> None:
    if missing:
        raise UntrainedHead(model=spec.label, missing=", ".join(sorted(missing)))
