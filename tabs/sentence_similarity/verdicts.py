"""What encoders say of one pair, put into proportion by their reference pairs, as HTML."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from models.contract import ModelSpec
from models.errors import ModelError
from models.select import reads
from models.sentence_similarity.events import Reference, Similarities
from models.sentence_similarity.reference import (
    GRADES,
    middle,
    nearest_grade,
    percentile,
    separation,
)
from tabs.sentence_similarity.encoders import TAB, warnings
from tabs.sentence_similarity.show import note, number, pair
from tabs.shared.events import line, problem_line
from tabs.shared.strings import both

TRUSTED = 0.9  # an encoder that tells meanings apart so often may be given a reading
HIGH = 0.4  # a cosine that unrelated pairs should not have
LOWEST = -0.2  # where the strips begin; they end at 1


@dataclass(slots=True)
class Verdict:
    """One encoder on one pair of sentences, as far as it has come."""

    spec: ModelSpec
    found: Similarities | None = None
    reference: Reference | None = None
    problem: ModelError | None = None

    @property
    def cosine(self) -> float | None:
        """None until it is there; NaN where a sentence has no vector."""
        return self.found.cosines[0][1] if self.found else None


def one(verdict: Verdict, sentences: Sequence[str]) -> str:
    """A single encoder's cosine, large, with its place among the reference pairs."""
    cosine = verdict.cosine
    if verdict.found is None or cosine is None:
        return ""
    shown = line(both(f"{TAB}.cosine")) + pair(cosine, _reading(verdict, sentences))
    shown += _notes(verdict, sentences)
    if verdict.reference and not math.isnan(cosine):
        shown += _place(verdict.reference, cosine)
    return shown


def several(verdicts: Sequence[Verdict], sentences: Sequence[str]) -> str:
    """A row an encoder: cosine, place among its reference pairs, and how well it tells them apart."""
    names = ("encoder", "cosine", "percentile", "unrelated", "separation")
    head = "".join(f'<th scope="col">{both(f"{TAB}.column.{name}")}</th>' for name in names)
    rows = "".join(f"<tr>{_row(verdict)}</tr>" for verdict in verdicts)
    notes = "".join(_notes(verdict, sentences) for verdict in verdicts)
    return (
        '<div style="overflow-x:auto" tabindex="0" role="region" aria-label="encoders / 인코더">'
        f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"{line(both(f'{TAB}.columns'))}{notes}"
    )


def _row(verdict: Verdict) -> str:
    name = f'<th scope="row">{html.escape(verdict.spec.label)}</th>'
    if verdict.problem:
        return f'{name}<td colspan="4">{problem_line(verdict.problem)}</td>'
    cosine, reference = verdict.cosine, verdict.reference
    cells = ["…" if cosine is None else f"<strong>{number(cosine)}</strong>"]
    if reference is None or cosine is None:
        cells += ["…"] * 3
    else:
        cells.append(_per_cent(percentile(reference, cosine)))
        cells.append(number(middle(reference, "none")))
        cells.append(_per_cent(separation(reference)))
    return name + "".join(f"<td>{cell}</td>" for cell in cells)


def _per_cent(share: float) -> str:
    return "–" if math.isnan(share) else f"{share:.0%}"


def _reading(verdict: Verdict, sentences: Sequence[str]) -> str:
    """What the cosine says, where this encoder can be trusted in this language."""
    reference, cosine = verdict.reference, verdict.cosine
    if reference is None or cosine is None or not reads(verdict.spec, sentences):
        return ""
    if math.isnan(cosine):
        return both(f"{TAB}.no_vector")
    if not separation(reference) >= TRUSTED:
        return both(f"{TAB}.reading.weak")
    return both(f"{TAB}.reading.{nearest_grade(reference, cosine)}")


def _notes(verdict: Verdict, sentences: Sequence[str]) -> str:
    """What makes the number doubtful; and why all of this encoder's cosines are high, if they are."""
    if verdict.found is None:
        return ""
    said = warnings(verdict.spec, sentences, verdict.found.truncated, verdict.found.unknown)
    if verdict.reference and middle(verdict.reference, "none") > HIGH:
        usual = number(middle(verdict.reference, "none"))
        said.append(both(f"{TAB}.high", model=verdict.spec.label, usual=usual))
    return "".join(map(note, said))


def _place(reference: Reference, cosine: float) -> str:
    """Where the cosine lies among the reference pairs: a sentence, and a strip for each grade."""
    share = percentile(reference, cosine)
    if math.isnan(share):
        return ""
    count = sum(map(len, reference.cosines.values()))
    told = both(f"{TAB}.percentile", share=f"{share:.0%}", count=count)
    head = "".join(f'<th scope="col">{both(f"{TAB}.column.{n}")}</th>' for n in ("pairs", "median"))
    rows = "".join(
        f'<tr><th scope="row" style="font-weight:400">{both(f"{TAB}.grade.{grade}")}'
        f"{_strip(reference.cosines[grade], cosine)}</th>"
        f"<td>{number(middle(reference, grade))}</td></tr>"
        for grade in reversed(GRADES)
    )
    return (
        f'<p>{told}</p><table class="plain"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>{line(both(f'{TAB}.strip'))}"
    )


def _strip(cosines: Sequence[float], cosine: float) -> str:
    """A bar from the 10th to the 90th of a hundred pairs, and a stroke at this cosine."""
    if not cosines:
        return ""
    low, high = (_at(cosines[round(q * (len(cosines) - 1))]) for q in (0.1, 0.9))
    return (
        '<div aria-hidden="true" style="position:relative;height:.7rem;margin:.2rem 0;'
        'background:var(--background-fill-secondary);border-radius:.2rem">'
        f'<div style="position:absolute;left:{low:.1f}%;width:{max(high - low, 1):.1f}%;top:0;bottom:0;'
        'background:color-mix(in srgb,var(--color-accent) 45%,transparent);border-radius:.2rem"></div>'
        f'<div style="position:absolute;left:{_at(cosine):.1f}%;width:2px;top:-.15rem;bottom:-.15rem;'
        'background:var(--body-text-color)"></div></div>'
    )


def _at(cosine: float) -> float:
    """Per cent of the strip's width."""
    return 100 * (max(cosine, LOWEST) - LOWEST) / (1 - LOWEST)
