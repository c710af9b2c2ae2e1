"""How tokens and their probabilities look: shaded text, bars, and the line on which a token is sampled."""

import html
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.chat.events import NextToken, Piece, TextDelta, Token
from tabs.chat.answers import Answers, shared_prefixes
from tabs.shared.strings import both

CSS = Path(__file__).with_name("token_odds.css").read_text(encoding="utf-8")
# A click on an element with data-at selects it. Tab goes to one token, the arrows from there to the others.
JS = """
const target = (event) => event.target.closest("[data-at]");
element.addEventListener("click", (event) => {
  const button = target(event);
  if (!button) return;
  element.querySelectorAll("[aria-pressed=true]").forEach((b) => b.setAttribute("aria-pressed", false));
  if (button.hasAttribute("aria-pressed")) button.setAttribute("aria-pressed", true);
  trigger("select", { at: button.dataset.at });
});
element.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step || !target(event)) return;
  const all = [...element.querySelectorAll("[data-at]")];
  const next = all[all.indexOf(target(event)) + step];
  if (next) { next.focus(); event.preventDefault(); }
});
"""
# Where answers part. No letter: the sign for a fork is missing on many machines.
FORK = '<svg class="parts" viewBox="0 0 10 14" aria-hidden="true"><path d="M5 14V8L1 2M5 8L9 2"/></svg>'
_SYMBOLS = {" ": "·", "\n": "↵", "\t": "→"}


def visible(text: str) -> str:
    """A token's text as HTML; spaces and line ends have a symbol, bytes stay ⟨ed 95⟩."""
    parts = re.split("(⟨[0-9a-f ]+⟩)", text)
    content = "".join(part if at % 2 else _symbols(part) for at, part in enumerate(parts))
    return content or "<i>∅</i>"


def _symbols(text: str) -> str:
    return "".join(
        f"<i>{_SYMBOLS[letter]}</i>" if letter in _SYMBOLS else html.escape(letter)
        for letter in text
    )


def answers_view(answers: Answers) -> str:
    """All answers to a question side by side, token by token, as HTML.

    A token's shade shows its probability. What the answers share is pale; a mark stands where one
    differs from the others.
    """
    if not any(sample.tokens for sample in answers.samples):
        return both("dice.none") if any(s.text for s in answers.samples) else ""
    shared = shared_prefixes(answers.samples)
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
    origin = answers.samples[number].origin
    if origin is None:
        return both("dice.sample", number=number + 1)
    return both("dice.branch", number=number + 1, place=origin[1] + 1)


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
    """All about one token of an answer: how likely it and others were, as HTML.

    Args:
        token: of the answer.
        at: its place, "sample:token".
        branches: for each alternative, whether the answer can continue from it.
    """
    rows = list(token.alternatives)
    if all((one.id, one.text) != (token.id, token.text) for one in rows):
        rows.append(token)
    bars: list[str] = []
    for number, one in enumerate(rows):
        own = (one.id, one.text) == (token.id, token.text)
        offer = number < len(branches) and branches[number]
        instead = _button(f"{at}:{number}", "dice.instead") if offer else both("dice.no_branch")
        bars.append(bar(one, one.raw, one.chance, both("dice.drawn") if own else instead, own))
    facts = [f"<b>{visible(token.text)}</b>"]
    if token.entropy is not None:
        facts.append(uncertainty(token.entropy))
    return f'<p class="facts">{" ".join(facts)}</p>{_heads()}{"".join(bars)}'


def _heads() -> str:
    return f'<p class="heads"><span class="raw">{both("dice.raw")}</span> <span class="shaped">{both("dice.shaped")}</span></p>'


def uncertainty(bits: float) -> str:
    """Entropy in words, as HTML."""
    return both("dice.entropy", bits=f"{bits:.2f}", equal=f"{2**bits:.1f}")


def bar(one: Piece, raw: float, chance: float | None, right: str, own: bool = False) -> str:
    """A token with its probabilities as bars, as HTML.

    Args:
        one: the token.
        raw: before the dials.
        chance: after them; None where it is not known.
        right: HTML at the row's end.
        own: it is the answer's own token.
    """
    number = "" if one.id is None else f'<span class="id">{one.id}</span>'
    after = "" if chance is None else _line("shaped", chance)
    return (
        f'<div class="row{" chosen" if own else ""}"><span class="name">{visible(one.text)}</span>'
        f"{number}<span class=right>{right}</span>{_line('raw', raw)}{after}</div>"
    )


def _line(kind: str, probability: float) -> str:
    return (
        f'<span class="line {kind}"><span style="width:{100 * probability:.2f}%"></span></span>'
        f'<span class="percent {kind}">{percent(probability)}</span>'
    )


def percent(probability: float) -> str:
    """A probability for people: small ones look different from none."""
    if probability == 0:
        return "0 %"
    return "< 0.01 %" if probability < 1e-4 else f"{100 * probability:.2f} %"


def _button(at: str, key: str) -> str:
    return f'<button type="button" class="take" data-at="{at}">{both(key)}</button>'


def prompt_chips(pieces: Sequence[Piece], new: int) -> str:
    """The tokens of a text with their ids, the last `new` of them marked, as HTML."""
    first = len(pieces) - new
    chips = "".join(
        f'<span class="chip{" new" if at >= first else ""}">{visible(piece.text)}'
        f'<span class="id">{piece.id}</span></span>'
        for at, piece in enumerate(pieces)
    )
    return f'<p class="legend">{both("dice.read", tokens=len(pieces))}</p><div class="chips">{chips}</div>'


def next_bars(event: NextToken, raw: np.ndarray, distribution: np.ndarray) -> str:
    """The likeliest next tokens and all others together, as bars, as HTML.

    Args:
        event: names of the likeliest.
        raw: (vocabulary,) softmax of the logits.
        distribution: (vocabulary,) after the dials.
    """
    ids = [int(piece.id or 0) for piece in event.likeliest]
    rows = "".join(
        bar(piece, float(raw[id_]), float(distribution[id_]), _button(str(id_), "dice.take"))
        for piece, id_ in zip(event.likeliest, ids, strict=True)
    )
    others = max(0.0, 1 - float(raw[ids].sum())), max(0.0, 1 - float(distribution[ids].sum()))
    rest = (
        f'<div class="row rest"><span class="name">{both("dice.others", count=len(raw) - len(ids))}</span>'
        f"<span></span><span></span>{_line('raw', others[0])}{_line('shaped', others[1])}</div>"
    )
    facts = both("dice.alive", alive=int((distribution > 0).sum()), all=len(raw))
    return f"{_heads()}{rows}{rest}<p class=facts>{facts}</p>"


def strip(event: NextToken, distribution: np.ndarray, position: float, token: Piece) -> str:
    """All tokens side by side, as wide as they are likely, and the random position, as HTML.

    Args:
        event: names of the likeliest.
        distribution: (vocabulary,) after the dials.
        position: the random number, from 0 up to 1.
        token: the one at that position.
    """
    names = {piece.id: piece.text for piece in event.likeliest}
    cells: list[str] = []
    for id_ in np.argsort(-distribution, kind="stable")[:12]:
        width = float(distribution[id_])
        if width < 0.01:
            break
        mark = " fell" if id_ == token.id else ""
        cells.append(
            f'<span class="cell{mark}" style="width:{100 * width:.3f}%">'
            f"{visible(names.get(int(id_), ''))}</span>"
        )
    chance = percent(float(distribution[int(token.id or 0)]))
    words = both("dice.thrown", dice=f"{position:.4f}", chance=chance)
    return (
        f'<p class="facts">🎲 <b>{position:.4f}</b> {words} <b>{visible(token.text)}</b></p>'
        f'<div class="strip">{"".join(cells)}<b class="needle" style="left:{100 * position:.2f}%"></b></div>'
    )
