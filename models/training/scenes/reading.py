"""Teaches the text model to read before it guides the UNet: which facts does a caption name?

From random weights most of a short training goes into finding out that words matter at all. Reading
is learned in minutes from captions alone; linear heads name the facts and are then thrown away.
"""

import random

import torch
from torch import nn
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from models.training.scenes.captions import LANGUAGES, Caption, caption
from models.training.scenes.progress import Progress
from models.training.scenes.text import WIDTH, tokens
from models.training.scenes.world import (
    COLOURS,
    KINDS,
    OBJECTS,
    SHAPES,
    SIZES,
    TIMES,
    Composition,
    Picture,
    sample,
)

UNNAMED = -100  # what the caption does not say is not asked
AXES = (None, "across", "down")
CHOICES = {
    "background": COLOURS,
    "size": SIZES,
    "axis": AXES,
    "colour 0": COLOURS,
    "shape 0": SHAPES,
    "colour 1": COLOURS,
    "shape 1": SHAPES,
    "place": KINDS,
    "time": TIMES,
    **dict.fromkeys(OBJECTS, (False, True)),
}
SHARES = {"single": 0.3, "pair": 0.4, "scene": 0.3}


def facts(picture: Picture, named: Caption) -> list[int]:
    """The index of each of `CHOICES` that the caption names, else `UNNAMED`."""
    known: dict[str, object] = {}
    if isinstance(picture, Composition):
        known["axis"] = picture.axis
        if named.has_background:
            known["background"] = picture.background
        if picture.size:
            known["size"] = picture.size
        for index, figure in enumerate(picture.figures):
            known |= {f"colour {index}": figure.colour, f"shape {index}": figure.shape}
    else:
        known = {"place": picture.kind, "time": picture.time}
        known |= {name: name in named.objects for name in OBJECTS}
    return [
        choices.index(known[name]) if name in known else UNNAMED
        for name, choices in CHOICES.items()
    ]


def captioned(count: int, rng: random.Random) -> tuple[list[str], torch.Tensor]:
    """Captions of trained pictures in both languages and their facts (count, questions)."""
    texts, answers = [], []
    for kind in rng.choices(list(SHARES), list(SHARES.values()), k=count):
        picture = sample(rng, kind)
        named = caption(picture, rng, rng.choice(LANGUAGES))
        texts.append(named.text)
        answers.append(facts(picture, named))
    return texts, torch.tensor(answers)


def reading_loss(
    states: torch.Tensor, ids: torch.Tensor, end: int, heads: nn.ModuleList, answers: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """The loss over all tokens after the caption's end, and the share of answers that are right.

    `states` are (count, tokens, width); tokens from the end on have seen the whole caption.
    """
    after = (ids == end).float().unsqueeze(-1)
    loss, right, asked = states.new_zeros(()), 0, 0
    for question, head in enumerate(heads):
        wanted = answers[:, question]
        if (wanted == UNNAMED).all():
            continue
        scores = head(states)
        spread = wanted[:, None].expand(scores.shape[:2])
        each = F.cross_entropy(
            scores.flatten(0, 1), spread.flatten(), ignore_index=UNNAMED, reduction="none"
        ).view_as(spread)
        loss = loss + (each * after[..., 0]).sum() / after.sum()
        made = scores[:, -1].argmax(-1)
        right += int((made == wanted).sum())
        asked += int((wanted != UNNAMED).sum())
    return loss, right / asked


def teach_reading(
    model: CLIPTextModel, tokenizer: CLIPTokenizer, steps: int, batch: int = 64, seed: int = 0
) -> float:
    """Trains `model` in place; returns the share of facts read right in the last tenth."""
    device = next(model.parameters()).device
    heads = nn.ModuleList(nn.Linear(WIDTH, len(choices)) for choices in CHOICES.values())
    parameters = [*model.parameters(), *heads.to(device).parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.5e-3, total_steps=steps + 1)
    rng, progress, shares = random.Random(seed), Progress("reading"), []
    for step in range(steps):
        texts, answers = captioned(batch, rng)
        ids = tokens(tokenizer, texts, device)
        states = model(ids)[0]
        loss, share = reading_loss(states, ids, tokenizer.eos_token_id, heads, answers.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        progress.step((step + 1) / steps, batch, loss)
        shares.append(share)
    last = shares[-max(1, steps // 10) :]
    return sum(last) / len(last)
