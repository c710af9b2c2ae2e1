"""How tokens and their probabilities look: shaded text, bars, and the line on which a token is sampled."""

import html
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.chat.events import NextToken, Piece, Token
from tabs.chat.answers import Answers, RecordedExample, common_prefixes
from tabs.shared.charts import example_note, shade, shade_legend
from tabs.shared.strings import both, shorten

CSS = Path(__file__).with_name("token_odds.css").read_text(encoding="utf-8")
# A click on an element with data-at selects it.
JS = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-at]");
  if (button) trigger("select", { at: button.dataset.at });
});
"""
# The answers: lens.js shows the odds of the token that is looked at, as soon as all parts are there.
VIEW_JS = "window.genlab.lens.mount(element);"
PART_JS = f"{JS}window.genlab.lens.start();"
# Where answers part. No letter: the sign for a fork is missing on many machines.
FORK = '<svg class="parts" viewBox="0 0 10 14" aria-hidden="true"><path d="M5 14V8L1 2M5 8L9 2"/></svg>'
_QUOTE = 80  # characters of the message over its answers
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


def answers_view(answers: Answers, odds: bool = True) -> str:
    """All answers to a question side by side, token by token, as HTML.

    A token's shade shows its probability. What the answers share is pale; a mark stands where one
    differs from the others.

    Args:
        answers: to one message.
        odds: with all that lens.js shows of a token; not while it is still growing.
    """
    if not any(sample.tokens for sample in answers.samples):
        return both("dice.none") if any(s.text for s in answers.samples) else ""
    prefixes = common_prefixes(answers.samples)
    cards = "".join(
        f'<div class="card"><p class="head">{_head(answers, number)}</p>'
        f'<div class="text" role="group">{_text(answers, number, prefixes[number], odds)}</div></div>'
        for number in range(len(answers.samples))
    )
    where = f'<p class="legend">{both("dice.to", message=shorten(answers.message, _QUOTE))}</p>'
    if len(answers.samples) > 1:
        where += f'<p class="legend">{both("dice.legend_parts", mark="⑂").replace("⑂", FORK)}</p>'
    return f'{where}<div class="cards">{cards}</div>{LEGEND}'


LEGEND = f'{shade_legend()}<p class="legend">{both("dice.legend")}</p>'


def example_view(language: str) -> str:
    """The recorded example of a language in the place of the first answer, as HTML."""
    example = RecordedExample.read(language)
    answers = example.answers()
    others = [row.others for row in example.tokens]
    text = _text(answers, 0, [0] * len(others), True, others, f"{language}:")
    where = both("dice.to", message=answers.message)
    note = f'{example_note()}<p class="legend">{where} · {html.escape(answers.spec.label)}</p>'
    card = f'<div class="card"><div class="text" role="group">{text}</div></div>'
    return f'<div class="in-{language}">{note}<div class="cards">{card}</div>{LEGEND}</div>'


def _head(answers: Answers, number: int) -> str:
    origin = answers.samples[number].origin
    if origin is None:
        return both("dice.sample", number=number + 1)
    return both("dice.branch", number=number + 1, place=origin[1] + 1)


def _text(
    answers: Answers,
    number: int,
    prefixes: list[int],
    odds: bool,
    others: Sequence[Sequence[float]] = (),
    prefix: str = "",
) -> str:
    """The tokens of a sample.

    Args:
        answers: of which it is one.
        number: of the sample.
        prefixes: for each token, with how many other samples it shares all up to it.
        odds: whether each token brings its odds.
        others: of each token of a recorded example, as training/chat_example.py stores it.
        prefix: of the tokens' places.
    """
    parts: list[str] = []
    place, of = 0, len(answers.samples)
    for delta in answers.samples[number].deltas:
        buttons: list[str] = []
        for token in delta.tokens:
            before = prefixes[place - 1] if place else of - 1
            mark = FORK if prefixes[place] < before else ""
            together = of > 1 and prefixes[place] == of - 1
            at = f"{number}:{place}"
            data = ""
            if odds:
                branches = answers.branch_choices(number, place)
                data = _odds(token, branches, others[place] if others else None)
            buttons.append(mark + _token(token, prefix + at, place, together, data))
            place += 1
        one = len(delta.tokens) <= 1 or not delta.text
        whole = "" if one else f'<span class="whole">{visible(delta.text)}</span>'
        inner = "".join(buttons) or visible(delta.text)
        parts.append(inner if one else f'<span class="letter"><span>{inner}</span>{whole}</span>')
        parts.append("<br>" * delta.text.count("\n"))
    return "".join(parts)


def _token(token: Token, at: str, place: int, together: bool, odds: str) -> str:
    likely = token.raw if token.chance is None else token.chance
    number = "" if token.id is None else f" · id {token.id}"
    kinds = f"tok {shade(likely)}{' together' if together else ''}"
    return (
        f'<button type="button" class="{kinds}" data-at="{at}" {odds}'
        f'tabindex="{0 if place == 0 else -1}" aria-pressed="false" '
        f'title="{likely:.1%}{number}">{visible(token.text)}</button>'
    )


def _odds(token: Token, branches: Sequence[bool], others: Sequence[float] | None) -> str:
    """What lens.js shows of a token, as an attribute: see there."""
    rows = [
        [one.text, one.id, round(one.raw, 6), on]
        for one, on in zip(token.alternatives, branches, strict=True)
    ]
    same = [(one.id, one.text) for one in token.alternatives]
    own = (token.id, token.text)
    if own not in same:
        same.append(own)
        rows.append([token.text, token.id, round(token.raw, 6), False])
    data = {"rows": rows, "drawn": same.index(own), "bits": token.entropy}
    if others is not None:
        data["others"] = list(others)
    return f'data-odds="{html.escape(json.dumps(data, ensure_ascii=False, allow_nan=False))}" '


# What lens.js fills: the words that it needs, the bars of the token and its curve.
_WORDS = {
    "instead": f'{both("dice.on")}<span class="for-readers">{both("dice.instead")}</span>',
    "no_branch": f'<span class="quiet">{both("dice.no_branch")}</span>',
    "drawn": both("dice.drawn"),
    "others": both("dice.all_others"),
    "entropy": both("dice.entropy", bits="⟪bits⟫", equal="⟪equal⟫"),
    "place": both("dice.place", token="⟪token⟫"),
}
BARS = (
    '<div id="dice-words" hidden>'
    + "".join(f'<span data-key="{key}">{words}</span>' for key, words in _WORDS.items())
    + '</div><div id="dice-bars" hidden><p class="facts" id="dice-which-token"></p><ol></ol>'
    f'<p class="legend">{both("dice.bars")}</p>'
    f'<p class="legend" id="dice-cut" hidden>{both("dice.cut_off")}</p>'
    f'<p class="legend" id="dice-about" hidden>{both("dice.about")}</p>'
    '<p class="facts" id="dice-entropy"></p></div>'
)
CURVE = (
    '<figure id="dice-curve" hidden><svg viewBox="0 0 256 156" role="img" '
    f'aria-labelledby="dice-curve-title"></svg><figcaption class="legend" id="dice-curve-title">'
    f"{both('chat.temperature_info')} {both('dice.curve')}</figcaption></figure>"
)


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
        return "0%"
    return "< 0.01%" if probability < 1e-4 else f"{100 * probability:.2f}%"


def _button(at: str, key: str) -> str:
    return f'<button type="button" class="take" data-at="{at}">{both(key)}</button>'


def prompt_chips(pieces: Sequence[Piece], new: int) -> str:
    """The tokens of a text with their ids, the last `new` of them marked, as HTML."""
    first = len(pieces) - new
    chips = "".join(
        f'<span class="chip{" new" if at >= first else ""}"><span>{visible(piece.text)}</span>'
        f'<span class="id">{piece.id}</span></span>'
        for at, piece in enumerate(pieces)
    )
    words = both("dice.read", tokens=len(pieces)) + (" " + both("dice.read_new") if new else "")
    return f'<p class="legend">{words}</p><div class="chips">{chips}</div>'


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
    if len(ids) == len(raw):  # none is left, so there is nothing to give a share of
        facts = both("dice.alive", alive=f"{int((distribution > 0).sum()):,}", all=f"{len(raw):,}")
        return f"{_heads()}{rows}<p class=facts>{facts}</p>"
    others = max(0.0, 1 - float(raw[ids].sum())), max(0.0, 1 - float(distribution[ids].sum()))
    rest = (
        f'<div class="row rest"><span class="name">{both("dice.others", count=f"{len(raw) - len(ids):,}")}</span>'
        f"<span></span><span></span>{_line('raw', others[0])}{_line('shaped', others[1])}</div>"
    )
    facts = both("dice.alive", alive=f"{int((distribution > 0).sum()):,}", all=f"{len(raw):,}")
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
