"""Teaches the text model to read before the UNet learns to draw: every fact of the scene from words.

Reading is learned in minutes where drawing takes hours, and the UNet then starts from words that
already mean something. Both are trained on together later, so that the text model does not forget
which thing stands where; the head that answers is not shipped.
"""

import random
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from training.scenes.captions import LANGUAGES, Lexicon, caption
from training.scenes.optimiser import new_optimiser
from training.scenes.progress import Progress, load_state, rate_share, save_whole
from training.scenes.sampling import sample_trained
from training.scenes.text import WIDTH, tokens
from training.scenes.things import all_things
from training.scenes.world import CELL, SHAPE_COLOURS, SHAPES, SIZES, Scene, all_backgrounds

CHECKPOINT = "reading.pt"
# Of what is read; two things, each with a place of its own, are the hardest.
KIND_SHARES = {"one": 0.3, "two": 0.3, "apart": 0.2, "count": 0.1, "shape": 0.05, "empty": 0.05}
SLOTS = 2
KEYS = ("", *SHAPES, *all_things())
ITEM_CHOICES = (len(KEYS), len(SHAPE_COLOURS) + 1, len(SIZES) + 1, 8, 8)
CHOICES = (len(all_backgrounds()), 4, *ITEM_CHOICES * SLOTS)


def facts(scene: Scene) -> list[int]:
    """The scene as numbers: background, how many, then key, colour, size, x, y of two things."""
    numbers = [all_backgrounds().index(scene.background), len(scene.items)]
    for slot in range(SLOTS):
        if slot >= len(scene.items):
            numbers += [0, 0, 0, 7, 7]
            continue
        item = scene.items[slot]
        colour = SHAPE_COLOURS.index(item.colour) + 1 if item.colour else 0
        size = list(SIZES).index(item.size) + 1
        numbers += [KEYS.index(item.key), colour, size, item.x // CELL, item.y // CELL]
    return numbers


class Answers(nn.Module):
    """A head that names each fact from the text model's words."""

    def __init__(self) -> None:
        super().__init__()
        self.questions = nn.Parameter(torch.randn(len(CHOICES), WIDTH) * 0.5)
        self.attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.answers = nn.ModuleList(nn.Linear(WIDTH, choices) for choices in CHOICES)

    def forward(self, words: torch.Tensor) -> list[torch.Tensor]:
        """The answers' scores, one tensor (count, choices) a fact, from words (count, length, 128)."""
        questions = self.questions.expand(len(words), -1, -1)
        read = self.attention(questions, words, words, need_weights=False)[0]
        return [answer(read[:, index]) for index, answer in enumerate(self.answers)]


class Reader(nn.Module):
    """The text model and the head."""

    def __init__(self, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.head = Answers()

    def forward(self, ids: torch.Tensor) -> list[torch.Tensor]:
        """The answers' scores, one tensor (count, choices) a fact."""
        return self.head(self.text_encoder(ids)[0])


def reading_loss(scores: list[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
    """The mean of the facts' cross entropies; labels (count, facts)."""
    losses = [functional.cross_entropy(s, labels[:, i]) for i, s in enumerate(scores)]
    return torch.stack(losses).mean()


def _scene(rng: random.Random, keys: tuple[str, ...]) -> Scene:
    """A scene to read."""
    kind = rng.choices(list(KIND_SHARES), list(KIND_SHARES.values()))[0]
    return sample_trained(rng, keys, kind)


def reading_batch(
    count: int, rng: random.Random, keys: tuple[str, ...], lexicon: Lexicon
) -> tuple[list[str], torch.Tensor]:
    """Captions and their scenes' facts (count, facts)."""
    scenes = [_scene(rng, keys) for _ in range(count)]
    texts = [caption(scene, rng, rng.choice(LANGUAGES), lexicon) for scene in scenes]
    return texts, torch.tensor([facts(scene) for scene in scenes])


def teach_head(
    reader: Reader,
    tokenizer: CLIPTokenizer,
    lexicon: Lexicon,
    keys: tuple[str, ...],
    steps: int = 600,
    batch: int = 64,
) -> None:
    """Trains a fresh head on a text model that stays as it is, so that both can be trained on."""
    optimiser = torch.optim.AdamW(reader.head.parameters(), 2e-3)
    rates = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.1, steps)
    for step in range(steps):
        texts, labels = reading_batch(batch, random.Random(f"head/{step}"), keys, lexicon)
        with torch.no_grad():
            words = reader.text_encoder(tokens(tokenizer, texts, short=True))[0]
        optimiser.zero_grad()
        loss = reading_loss(reader.head(words), labels)
        loss.backward()
        optimiser.step()
        rates.step()
    print(f"reading: loss {loss.item():.3f} with a fresh head", flush=True)


def teach_reading(
    model: Reader,
    run: Path,
    tokenizer: CLIPTokenizer,
    lexicon: Lexicon,
    keys: tuple[str, ...],
    steps: int = 1500,
    batch: int = 64,
) -> None:
    """Trains the text model and the head for `steps`; goes on from the run's checkpoint."""
    optimiser = new_optimiser(model, 0.02, 2e-3)
    begin = 0
    if state := load_state(run / CHECKPOINT):
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        begin = state["step"]
    progress = Progress("reading")
    for step in range(begin, steps):
        rng = random.Random(f"reading/{step}")
        texts, labels = reading_batch(batch, rng, keys, lexicon)
        scores = model(tokens(tokenizer, texts, short=True))
        loss = reading_loss(scores, labels)
        optimiser.set_share(rate_share(step, steps, steps // 2))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        progress.step(step + 1, batch, loss.item())
        if (step + 1) % 250 == 0 or step + 1 == steps:
            right = torch.stack([s.argmax(1) == labels[:, i] for i, s in enumerate(scores)])
            print(f"reading step {step + 1}: {right.float().mean():.1%} of facts", flush=True)
            states = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
            save_whole({**states, "step": step + 1}, run / CHECKPOINT)
