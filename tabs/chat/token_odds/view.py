"""How tokens and their probabilities look: shaded text, bars, and the strip that the dice fall on."""

import html
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.chat.events import NextToken, Piece, TextDelta, Token
from tabs.chat.token_odds.record import Answers, companions
from tabs.shared.strings import both

CSS = Path(__file__).with_name("token_odds.css").read_text(encoding="utf-8")
# A click on what has data-at tells it. Tab goes to one token, the arrows go from there to the others.
JS = """
const told = (event) => event.target.closest("[data-at]");
element.addEventListener("click", (event) => {
  const chosen = told(event);
  if (!chosen) return;
  element.querySelectorAll("[aria-pressed=true]").forEach((b) => b.setAttribute("aria-pressed", false));
  if (chosen.hasAttribute("aria-pressed")) chosen.setAttribute("aria-pressed", true);
  trigger("select", { at: chosen.dataset.at });
});
element.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step || !told(event)) return;
  const all = [...element.querySelectorAll("[data-at]")];
  const next = all[all.indexOf(told(event)) + step];
  if (next) { next.focus(); event.preventDefault(); }
});
"""
# Where answers part. No letter: the sign for a fork is missing on many machines.
FORK = '<svg class="parts" viewBox="0 0 10 14" aria-hidden="true"><path d="M5 14V8L1 2M5 8L9 2"/></svg>'
_SEEN = {" ": "·", "\n": "↵", "\t": "→"}


def visible(text: str) -> str:
    """A token's text as HTML; its spaces and line ends are seen, bytes stay ⟨ed 95⟩."""
    parts = re.split("(⟨[0-9a-f ]+⟩)", text)
    shown = "".join(part if at % 2 else _marked(part) for at, part in enumerate(parts))
    return shown or "<i>∅</i>"


def _marked(text: str) -> str:
    return "".join(
        f"<i>{_SEEN[letter]}</i>" if letter in _SEEN else html.escape(letter) for letter in text
    )


def answers_view(answers: Answers) -> str:
    """All answers to a question side by side, token by token, as HTML.

    A token's shade tells its probability; what the answers share is pale, and where one parts from
    others a mark stands.
    """
    if not any(sample.tokens for sample in answers.samples):
        return both("dice.none") if any(s.text for s in answers.samples) else ""
    shared = companions(answers.samples)
    cards = "".join(
        f'<div class="card"><p class="head">{_head(answers, number)}</p>'
        f'<div class="text">{_text(number, sample.deltas, shared[number], len(answers.samples))}'
        "</div></div>"
        for number, sample in enumerate(answers.samples)
    )
    marks = FORK + both("dice.legend_parts") if len(answers.samples) > 1 else ""
    legend = f'<p class="legend">{both("dice.legend")} {marks}</p>'
    return f'{legend}<div class="cards">{cards}</div>'


def _head(answers: Answers, number: int) -> str:
    branch = answers.samples[number].branch
    if branch is None:
        return both("dice.sample", number=number + 1)
    return both("dice.branch", number=number + 1, place=branch[1] + 1)


def _text(number: int, deltas: list[TextDelta], shared: list[int], of: int) -> str:
    parts: list[str] = []
    place = 0
    for delta in deltas:
        buttons: list[str] = []
        for token in delta.tokens:
            before = shared[place - 1] if place else of - 1
            mark = FORK if shared[place] < before else ""
            together = of > 1 and shared[place] == of - 1
            buttons.append(mark + _token(token, f"{number}:{place}", place, together))
            place += 1
        one = len(delta.tokens) <= 1 or not delta.text
        whole = "" if one else f'<span class="whole">{visible(delta.text)}</span>'
        inner = "".join(buttons) or visible(delta.text)
        parts.append(inner if one else f'<span class="letter"><span>{inner}</span>{whole}</span>')
        parts.append("<br>" * delta.text.count("\n"))
    return "".join(parts)


def _token(token: Token, at: str, place: int, together: bool) -> str:
    likely = token.raw if token.chance is None else token.chance
    number = "" if token.id is None else f" · id {token.id}"
    return (
        f'<button type="button" class="tok{" together" if together else ""}" data-at="{at}" '
        f'tabindex="{0 if place == 0 else -1}" aria-pressed="false" '
        f'title="{likely:.1%}{number}" style="--p:{100 * likely:.1f}%">{visible(token.text)}</button>'
    )


def details(token: Token, at: str, branches: Sequence[bool]) -> str:
    """All about one drawn token: how likely it and others were, as HTML.

    Args:
        token: the drawn one.
        at: its place, "sample:token".
        branches: from which of the alternatives the answer can be gone on.
    """
    rows = list(token.alternatives)
    if all((one.id, one.text) != (token.id, token.text) for one in rows):
        rows.append(token)
    bars: list[str] = []
    for number, one in enumerate(rows):
        drawn = (one.id, one.text) == (token.id, token.text)
        offered = number < len(branches) and branches[number]
        instead = _button(f"{at}:{number}", "dice.instead") if offered else both("dice.no_branch")
        bars.append(bar(one, one.raw, one.chance, both("dice.drawn") if drawn else instead, drawn))
    facts = [f"<b>{visible(token.text)}</b>"]
    if token.entropy is not None:
        facts.append(uncertainty(token.entropy))
    return f'<p class="facts">{" ".join(facts)}</p>{_heads()}{"".join(bars)}'


def _heads() -> str:
    return f'<p class="heads"><span class="raw">{both("dice.raw")}</span> <span class="shaped">{both("dice.shaped")}</span></p>'


def uncertainty(bits: float) -> str:
    """Entropy in words, as HTML."""
    return both("dice.entropy", bits=f"{bits:.2f}", equal=f"{2**bits:.1f}")


def bar(one: Piece, raw: float, chance: float | None, right: str, chosen: bool = False) -> str:
    """A token with its probabilities as bars, as HTML.

    Args:
        one: the token.
        raw: before the dials.
        chance: after them; None where it is not known.
        right: HTML at the row's end.
        chosen: it is the drawn one.
    """
    number = "" if one.id is None else f'<span class="id">{one.id}</span>'
    after = "" if chance is None else _line("shaped", chance)
    return (
        f'<div class="row{" chosen" if chosen else ""}"><span class="name">{visible(one.text)}</span>'
        f"{number}<span class=right>{right}</span>{_line('raw', raw)}{after}</div>"
    )


def _line(kind: str, share: float) -> str:
    return (
        f'<span class="line {kind}"><span style="width:{100 * share:.2f}%"></span></span>'
        f'<span class="percent {kind}">{percent(share)}</span>'
    )


def percent(share: float) -> str:
    """A probability for people: enough digits to tell small ones from none."""
    return "0 %" if share == 0 else "< 0.01 %" if share < 1e-4 else f"{100 * share:.2f} %"


def _button(at: str, key: str) -> str:
    return f'<button type="button" class="take" data-at="{at}">{both(key)}</button>'


def read_tokens(pieces: Sequence[Piece], drawn: int) -> str:
    """The tokens of a text with their ids, the last `drawn` of them marked, as HTML."""
    first = len(pieces) - drawn
    chips = "".join(
        f'<span class="chip{" new" if at >= first else ""}">{visible(piece.text)}'
        f'<span class="id">{piece.id}</span></span>'
        for at, piece in enumerate(pieces)
    )
    return f'<p class="legend">{both("dice.read", tokens=len(pieces))}</p><div class="chips">{chips}</div>'


def next_bars(event: NextToken, raw: np.ndarray, shares: np.ndarray) -> str:
    """The likeliest next tokens and all others together, as bars, as HTML.

    Args:
        event: names of the likeliest.
        raw: (vocabulary,) softmax of the logits.
        shares: (vocabulary,) after the dials.
    """
    ids = [int(piece.id or 0) for piece in event.likeliest]
    rows = "".join(
        bar(piece, float(raw[id_]), float(shares[id_]), _button(str(id_), "dice.take"))
        for piece, id_ in zip(event.likeliest, ids, strict=True)
    )
    left, others = 1 - float(raw[ids].sum()), 1 - float(shares[ids].sum())
    alive = int((shares > 0).sum())
    rest = (
        f'<div class="row rest"><span class="name">{both("dice.others", count=len(raw) - len(ids))}</span>'
        f"<span></span><span></span>{_line('raw', max(0.0, left))}{_line('shaped', max(0.0, others))}</div>"
    )
    facts = both("dice.alive", alive=alive, all=len(raw))
    return f"{_heads()}{rows}{rest}<p class=facts>{facts}</p>"


def strip(event: NextToken, shares: np.ndarray, dice: float, drawn: Piece) -> str:
    """All tokens side by side, as wide as they are likely, and where the dice fell, as HTML.

    Args:
        event: names of the likeliest.
        shares: (vocabulary,) after the dials.
        dice: the random number, from 0 up to 1.
        drawn: the token it fell on.
    """
    names = {piece.id: piece.text for piece in event.likeliest}
    cells: list[str] = []
    for id_ in np.argsort(-shares, kind="stable")[:12]:
        share = float(shares[id_])
        if share < 0.01:
            break
        fell = " fell" if id_ == drawn.id else ""
        cells.append(
            f'<span class="cell{fell}" style="width:{100 * share:.3f}%">'
            f"{visible(names.get(int(id_), ''))}</span>"
        )
    thrown = both(
        "dice.thrown", dice=f"{dice:.4f}", chance=percent(float(shares[int(drawn.id or 0)]))
    )
    return (
        f'<p class="facts">🎲 <b>{dice:.4f}</b> {thrown} <b>{visible(drawn.text)}</b></p>'
        f'<div class="strip">{"".join(cells)}<b class="needle" style="left:{100 * dice:.2f}%"></b></div>'
    )
