"""LoRA on the encoder (Hu et al. 2022, arXiv:2106.09685), and an honest comparison with the head alone."""

import copy
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from sklearn.model_selection import train_test_split
from torch import nn

from models.contract import Stop
from models.errors import InvalidInput
from models.teach.events import FineTuned, TrainStep
from models.teach.file import Classifier
from models.teach.head import Head, fitted
from models.teach.header import Adapter
from models.teach.requests import BATCH, HELD_OUT, TARGETS, FineTuneRequest

if TYPE_CHECKING:
    from models.teach.engine import TeachableEncoder

SURE = 40  # held-out sentences below which a difference of a few is luck


def stream(
    encoder: "TeachableEncoder", request: FineTuneRequest, stop: Stop
) -> Generator[TrainStep | FineTuned]:
    """Teach a head alone, then head and low-rank matrices together; compare on held-out sentences.

    Raises:
        InvalidInput: a class has too few sentences to hold one out (teach_too_few).
    """
    texts, labels = request.pairs()
    learn, held = _parted(labels, request.seed)
    vectors = encoder.vectors(texts, stop)
    if stop.is_set():
        return
    head = fitted(vectors[learn], [labels[index] for index in learn])
    adapter = Adapter(rank=request.rank, targets=list(TARGETS))
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        torch.manual_seed(request.seed)
        model = _with_lora(copy.deepcopy(encoder.model), adapter)
        layer = _layer(head).to(encoder.model.device)
        data = [(texts[i], head.labels.index(labels[i])) for i in learn]
        yield from _training(encoder, model, layer, data, request, stop)
    if stop.is_set():
        return
    weight, bias = (part.detach().cpu().numpy() for part in (layer.weight, layer.bias))
    tuned = Head(head.labels, weight, bias)
    lora = {name: value.cpu() for name, value in get_peft_model_state_dict(model).items()}
    made = Classifier(tuned, encoder.spec.id, encoder.fingerprint, adapter, lora)
    kept = [texts[index] for index in held]
    truth = [labels[index] for index in held]
    plain, after = head.says(vectors[held]), tuned.says(encoder.vectors(kept, stop, model.eval()))
    yield FineTuned(
        made.to_bytes(),
        tuple(zip(kept, truth, plain, after, strict=True)),
        float(np.mean([a == b for a, b in zip(plain, truth, strict=True)])),
        float(np.mean([a == b for a, b in zip(after, truth, strict=True)])),
        len(learn),
        sum(p.numel() for p in [*model.parameters(), *layer.parameters()] if p.requires_grad),
        ("teach_luck",) if len(held) < SURE else (),
    )


def _parted(labels: list[str], seed: int) -> tuple[list[int], list[int]]:
    """Indexes to learn from and to hold out; each class has its share in both."""
    classes = len(set(labels))
    size = max(classes, round(len(labels) * HELD_OUT))
    if min(labels.count(label) for label in set(labels)) < 2 or len(labels) - size < classes:
        raise InvalidInput("teach_too_few")
    return train_test_split(  # type: ignore[return-value]
        list(range(len(labels))), test_size=size, stratify=labels, random_state=seed
    )


def _with_lora(model: Any, adapter: Adapter) -> Any:
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=2 * adapter.rank,
        lora_dropout=0.05,
        target_modules=adapter.targets,
    )
    return get_peft_model(model, config)


def adapted(model: Any, made: Classifier) -> Any:
    """The encoder with a classifier's low-rank matrices in it; `model` itself is changed.

    Raises:
        InvalidInput: they do not fit (teach_file).
    """
    assert made.adapter is not None
    try:
        inside = _with_lora(model, made.adapter)
        expected = get_peft_model_state_dict(inside)
        if {n: t.shape for n, t in expected.items()} != {n: t.shape for n, t in made.lora.items()}:
            raise ValueError("shapes")
        set_peft_model_state_dict(inside, dict(made.lora))
    except (ValueError, RuntimeError, KeyError):
        raise InvalidInput("teach_file") from None
    return inside.eval()


def _layer(head: Head) -> nn.Linear:
    """A linear layer that starts where the head alone ended."""
    layer = nn.Linear(head.weight.shape[1], head.weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(head.weight))
        layer.bias.copy_(torch.from_numpy(head.bias))
    return layer


def _training(
    encoder: "TeachableEncoder",
    model: Any,
    layer: nn.Linear,
    data: list[tuple[str, int]],
    request: FineTuneRequest,
    stop: Stop,
) -> Generator[TrainStep]:
    trained = [*(p for p in model.parameters() if p.requires_grad), *layer.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=request.learning_rate, weight_decay=0.01)
    total = request.epochs * -(-len(data) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, request.learning_rate, total_steps=total + 1, pct_start=0.1
    )
    model.train()
    step, order = 0, np.random.default_rng(request.seed)
    for _ in range(request.epochs):
        shuffled = order.permutation(len(data))
        for start in range(0, len(data), BATCH):
            if stop.is_set():
                return
            batch = [data[index] for index in shuffled[start : start + BATCH]]
            scores = layer(encoder.pooled([text for text, _ in batch], model))
            answers = torch.tensor([answer for _, answer in batch], device=scores.device)
            loss = nn.functional.cross_entropy(scores, answers)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            yield TrainStep(step, total, loss.item())
