"""Teaches the text model to read before it guides the UNet: which facts does a caption name?

From random weights most of a short training goes into finding out that words matter at all. Reading
is learned in minutes from captions alone, and kept up beside the UNet's training; the linear heads
that name the facts are thrown away at the end.
"""

import random

import torch
from torch import nn
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from training.scenes.captions import LANGUAGES, Caption, caption
from training.scenes.progress import Progress
from training.scenes.text import WIDTH, tokens
from training.scenes.world import (
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
# The window's last places, which are padding after all but the longest captions. Each shape has one of
# its own, so that attention finds "the left one" by where it looks, whatever words named it.
PLACES = {
    -1: ("axis", "colour 0", "shape 0", "size"),
    -2: ("axis", "colour 1", "shape 1"),
    -3: ("background",),
    -4: ("place", "time", *OBJECTS),
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


class Reader(nn.Module):
    """Linear heads that name the facts of a caption, each from its own place of `PLACES`."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Linear(WIDTH, len(CHOICES[name])) for names in PLACES.values() for name in names
        )

    def forward(self, states: torch.Tensor, answers: torch.Tensor) -> tuple[torch.Tensor, float]:
        """The loss, and the share of answers that are right.

        Args:
            states: the text model's output, (count, tokens, WIDTH).
            answers: of `facts`, (count, questions).
        """
        loss, right, asked = states.new_zeros(()), 0, 0
        questions = [(place, name) for place, names in PLACES.items() for name in names]
        for (place, name), head in zip(questions, self.heads, strict=True):
            wanted = answers[:, list(CHOICES).index(name)]
            known = wanted != UNNAMED
            if not known.any():
                continue
            scores, wanted = head(states[:, place])[known], wanted[known]
            loss = loss + F.cross_entropy(scores, wanted)
            right += int((scores.argmax(-1) == wanted).sum())
            asked += len(wanted)
        return loss, right / max(asked, 1)


def teach_reading(
    model: CLIPTextModel, tokenizer: CLIPTokenizer, steps: int, batch: int = 64, seed: int = 0
) -> float:
    """Trains `model` in place; returns the share of facts read right in the last tenth."""
    device = next(model.parameters()).device
    reader = Reader().to(device)
    parameters = [*model.parameters(), *reader.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.5e-3, total_steps=steps + 1)
    rng, progress, shares = random.Random(seed), Progress("reading"), []
    for step in range(steps):
        texts, answers = captioned(batch, rng)
        states = model(tokens(tokenizer, texts, device))[0]
        loss, share = reader(states, answers.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        progress.step((step + 1) / steps, batch, loss)
        shares.append(share)
    last = shares[-max(1, steps // 10) :]
    return sum(last) / len(last)
