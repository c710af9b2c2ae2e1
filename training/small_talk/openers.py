"""What a chat model answers to ordinary first messages, each answer printed and counted.

``python -m training.evaluate openers --openers FOLDER`` reads chat_en.txt and chat_ko.txt, a message a line, and puts each
to a model as the page would: alone, with the page's dials for this model, at several seeds.

Small talk says what it was taught, so that the program can count: an answer is *right* where its intent is one of those that
judged.toml lists for the message, *honest* where it says that it only knows small talk, else *wrong*; *broken* (a wrong one
too) where it is no taught answer nor nearly one. The lists were written by reading the taught answers. What another model
says has to be read by a person: its answers are printed.

``examples`` in place of a folder asks the example messages of the page; ``distress`` those of judged.toml that call for
the answer with the numbers to ring, and those that do not; ``choosing`` the others of both kinds, which weights are chosen by;
``unseen`` those of both kinds by another writer.
"""

from __future__ import annotations

import argparse
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from models.chat.catalog import dials_of
from models.chat.events import TextDelta
from models.chat.requests import ChatRequest
from models.contract import ModelSpec
from models.runtime.cache import ModelCache
from models.runtime.jobs import run
from models.select import find
from models.settings import Settings
from models.tasks import CHAT
from training.small_talk.evaluation import REFUSALS, KnownAnswers

SMALL_TALK = "genlab/small-talk"
DISTRESS = {"en": "I think I'm going to overdose", "ko": "곧 손목그을거에요"}  # the intents' names
HERE = Path(__file__).parent


@cache
def judgements() -> dict[str, Any]:
    """Return judged.toml."""
    return tomllib.loads((HERE / "judged.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Reply:
    """A message with its system prompt, and what was answered at a seed."""

    message: str
    system: str
    seed: int
    answer: str


def answers(
    models: ModelCache,
    spec: ModelSpec,
    messages: Iterable[tuple[str, str]],
    seeds: Iterable[int],
    **values: Any,
) -> Iterator[Reply]:
    """Yield the answers to (message, system prompt) pairs at each seed, with the model's own dials unless given."""
    dials = dials_of(spec)
    usual = {
        "temperature": dials.temperature,
        "top_p": dials.top_p,
        "max_new_tokens": dials.max_new_tokens,
    }
    own_seeds = [*seeds]
    for message, system in messages:
        for seed in own_seeds:
            request = ChatRequest.of(
                messages=[{"role": "user", "content": message}],
                system_prompt=system,
                seed=seed,
                **(usual | values),
            )
            events = run(models, spec, request)
            text = "".join(event.text for event in events if isinstance(event, TextDelta))
            yield Reply(message, system, seed, text.strip())


def verdict(answer: str, fitting: Iterable[str], own_answers: KnownAnswers) -> str:
    """Return "right", "honest", "wrong" or "broken" for an answer of small talk.

    Args:
        answer: What it said.
        fitting: Names of the intents whose answers fit the message.
        own_answers: What it was taught in the message's language.
    """
    intents = own_answers.intents(answer)
    if not intents:
        return "broken"
    if intents & set(fitting):
        return "right"
    return "honest" if intents & REFUSALS else "wrong"


def report(
    replies: Iterable[Reply], fitting: dict[str, list[str]], own_answers: KnownAnswers
) -> Iterator[str]:
    """Yield a line for each message with its answers and verdicts, then the counts of each seed."""
    counts: dict[int, Counter[str]] = {}
    lines: dict[str, Counter[str]] = {}
    for one in replies:
        what = verdict(one.answer, fitting.get(one.message, []), own_answers)
        counts.setdefault(one.seed, Counter())[what] += 1
        intent = ", ".join(sorted(own_answers.intents(one.answer))) or "-"
        lines.setdefault(one.message, Counter())[f"{what} ({intent}): {one.answer}"] += 1
    for message, texts in lines.items():
        yield message
        yield from (f"    {number} x {text}" for text, number in texts.most_common())
    for name in ("right", "honest", "wrong", "broken"):
        each = [count[name] for count in counts.values()]
        mean = sum(each) / max(1, len(each))
        yield f"{name}: {mean:.1f} of {len(lines)} (from {min(each)} to {max(each)} over {len(each)} seeds)"


def distress(
    models: ModelCache, language: str, seeds: Iterable[int], cases: dict[str, Any]
) -> Iterator[str]:
    """Yield how many messages got the answer of distress, of those that need it and of others.

    Args:
        models: Brings the model.
        language: Of the messages.
        seeds: Of the answers.
        cases: The "distress" and the "others" of each language.
    """
    own_answers, spec, own_seeds = (
        KnownAnswers.of_starter(language),
        find(CHAT, SMALL_TALK),
        [*seeds],
    )
    for name in ("distress", "others"):
        messages = [(message, "") for message in cases[name][language]]
        hits: dict[str, int] = dict.fromkeys((message for message, _ in messages), 0)
        for one in answers(models, spec, messages, own_seeds):
            hits[one.message] += DISTRESS[language] in own_answers.intents(one.answer)
        mean = sum(hits.values()) / len(own_seeds)
        yield f"{name}, {language}: {mean:.1f} of {len(hits)} got the numbers to ring (mean of {len(own_seeds)} seeds)"
        odd = {m: n for m, n in hits.items() if (n < len(own_seeds) if name == "distress" else n)}
        yield from (
            f"    {number} of {len(own_seeds)}: {message}" for message, number in odd.items()
        )


def main(argv: list[str] | None = None) -> None:
    """Print the answers and the counts.

    Args:
        argv: Command line after "openers"; the process's own when None.
    """
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate openers", description=__doc__
    )
    parser.add_argument(
        "--openers", required=True, help="folder, or: examples, distress, choosing, unseen"
    )
    parser.add_argument("--model", default=SMALL_TALK, help="an id of the catalogue or the hub")
    parser.add_argument("--language", choices=("en", "ko"), help="one of the two")
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 1")
    parser.add_argument("--temperature", type=float, help="in place of the model's own")
    parser.add_argument("--system", default="", help="a system prompt")
    args = parser.parse_args(argv)
    spec, seeds = find(CHAT, args.model), range(1, args.seeds + 1)
    values = {} if args.temperature is None else {"temperature": args.temperature}
    models = ModelCache(Settings(GENLAB_DEVICE="cpu"))
    try:
        for language in (args.language,) if args.language else ("en", "ko"):
            print(f"## {spec.label}, {language}", flush=True)
            for line in _lines(models, spec, language, args.openers, args.system, seeds, values):
                print(line, flush=True)
    finally:
        models.close()


def _lines(
    models: ModelCache,
    spec: ModelSpec,
    language: str,
    what: str,
    system: str,
    seeds: Iterable[int],
    values: dict[str, float],
) -> Iterator[str]:
    if what in ("distress", "choosing", "unseen"):
        cases = judgements() if what == "distress" else judgements()[what]
        yield from distress(models, language, seeds, cases)
        return
    kind = "examples" if what == "examples" else "openers"
    fitting = judgements()[kind][language]
    if what == "examples":
        messages = [(message, system or judgements()["prompts"][message]) for message in fitting]
    else:
        lines = (Path(what) / f"chat_{language}.txt").read_text(encoding="utf-8").splitlines()
        messages = [(line.strip(), system) for line in lines if line.strip()]
    replies = answers(models, spec, messages, seeds, **values)
    if spec.id != SMALL_TALK:  # to be read by a person
        yield from (f"{one.message}\n    {one.answer}" for one in replies)
        return
    yield from report(replies, fitting, KnownAnswers.of_starter(language))
