"""The README's model table, made from the catalogue: `python -m tests.readme` writes it anew."""

import re

from models.contract import ModelSpec
from models.settings import ROOT
from models.tasks import TASKS

MARKS = ("<!-- models -->", "<!-- /models -->")


def needs(spec: ModelSpec) -> str:
    """What a model needs beyond the install."""
    if spec.hosted:
        return "a key"
    if spec.starter:
        return "nothing"
    if spec.source.startswith("index:"):
        return "the package index"
    if getattr(spec.options, "work", None):
        return "the hub; slow without a GPU"
    return "the hub and a GPU" if spec.wants_gpu else "the hub"


def table() -> str:
    """The table as Markdown."""
    rows = ["| tab | model | needs | size | licence |", "|---|---|---|---|---|"]
    models = [(task, spec) for task in TASKS if task.listed for spec in task.models]
    for task, spec in models:
        size = f"{spec.size_gb:g} GB" if spec.size_gb else "–"
        rows.append(f"| {task.label} | {spec.label} | {needs(spec)} | {size} | {spec.licence} |")
    return "\n".join(rows)


def with_table(readme: str) -> str:
    """The README with the table in its place."""
    begin, end = MARKS
    return re.sub(f"{begin}.*?{end}", f"{begin}\n{table()}\n{end}", readme, flags=re.S)


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
