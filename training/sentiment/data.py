"""Read labelled sentences: (text, probability that it is positive)."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

from training.corpora import require

HERE = Path(__file__).parent
TARGETS = {"positive": 1.0, "negative": 0.0, "neutral": 0.5}
Rows = list[tuple[str, float]]


def rt_polarity(data: Path) -> Rows:
    """Return the 8,233 English film-review sentences."""
    rows: Rows = []
    for name, target in (("rt_neg", 0.0), ("rt_pos", 1.0)):
        lines = require(data, name).read_text(encoding="utf-8").splitlines()
        rows += [(line.strip(), target) for line in lines if line.strip()]
    return rows


def sst2_dev(data: Path) -> Rows:
    """Return SST-2's 872 dev sentences (for reporting only)."""
    lines = require(data, "sst2_dev").read_text(encoding="utf-8").splitlines()
    return [(text, float(label)) for text, label in (line.rsplit("\t", 1) for line in lines)]


def nsmc(data: Path, part: str) -> Rows:
    """Return the Korean film reviews of a part, "train" or "dev" (dev for reporting only)."""
    path = require(data, f"nsmc_{part}")
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    # split("\n"), not splitlines(): reviews may hold other characters that end a line.
    rows = [line.split("\t") for line in text.split("\n")[1:] if line]
    return [(row[1], float(row[2])) for row in rows if row[1].strip()]


def own(name: str) -> list[tuple[str, str, str]]:
    """Return (kind, label, sentence) rows of one of this folder's tables of our own sentences."""
    lines = (HERE / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    return [(kind, label, text) for kind, label, text in (line.split("\t") for line in lines)]


def own_rows(name: str) -> Rows:
    """Return a table of our own sentences as (text, target); neutral ones have the target 0.5."""
    return [(text, TARGETS[label]) for _, label, text in own(name)]


def split_off(rows: Rows, count: int, seed: int) -> tuple[Rows, Rows]:
    """Shuffle and split off `count` rows for choosing and calibration."""
    rows = list(rows)
    random.Random(seed).shuffle(rows)
    return rows[count:], rows[:count]
