"""The questions and answers of the chat starter: read, cleaned, and split into trained and held out.

An intent is one matter that people raise in many words ("Are you a robot?"), with one answer per persona.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import json
import re
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from training.corpora import require

PERSONAS = ("friendly", "professional", "witty", "caring", "enthusiastic")
LANGUAGES = ("en", "ko")
HELD_OUT_SHARE = 10  # one question in ten
GRAVE = re.compile(
    "죽고 ?싶|자살|죽어 ?버|죽을래|자해|살기 ?싫|살고 ?싶지"
)  # has one answer only, see answers_ko.tsv
SAME_QUESTION = 0.6  # character n-gram cosine from which a daily question is small talk already
HERE = Path(__file__).parent

# Endings of polite Korean (haeyo) and what a formal speaker says for them (hamnida).
FORMAL_ENDINGS = (
    ("해보세요", "해 보십시오"),
    ("하세요", "하십시오"),
    ("보세요", "보십시오"),
    ("마세요", "마십시오"),
    ("드세요", "드십시오"),
    ("주세요", "주십시오"),
    ("거예요", "것입니다"),
    ("거에요", "것입니다"),
    ("이에요", "입니다"),
    ("있어요", "있습니다"),
    ("없어요", "없습니다"),
    ("좋아요", "좋습니다"),
    ("같아요", "같습니다"),
    ("해요", "합니다"),
    ("돼요", "됩니다"),
    ("겠어요", "겠습니다"),
    ("겠네요", "겠습니다"),
)


@dataclass(frozen=True, slots=True)
class Intent:
    """One matter: the questions that raise it, those of them kept for judging, an answer per persona."""

    name: str
    language: str
    trained: tuple[str, ...]
    held_out: tuple[str, ...]
    answers: dict[str, str]
    own: bool = False


@dataclass(frozen=True, slots=True)
class Dialogues:
    """Everything the starter learns from.

    Attributes:
        intents: Small talk with an answer per persona.
        daily: Korean questions of every day with one answer each, to train on.
        daily_held_out: The same, kept for judging.
    """

    intents: tuple[Intent, ...]
    daily: tuple[tuple[str, str], ...]
    daily_held_out: tuple[tuple[str, str], ...]


def plain(text: str) -> str:
    """Return the text without case, punctuation and spaces: what makes two questions the same."""
    return re.sub(r"[\W_]+", "", text.lower())


def is_held_out(question: str) -> bool:
    """Say whether a question is kept for judging: one in ten, by a hash of its plain form."""
    digest = hashlib.sha256((plain(question) or question).encode()).digest()
    return int.from_bytes(digest[:4], "big") % HELD_OUT_SHARE == 0


def read_qna(path: Path) -> list[tuple[list[str], str]]:
    """Return the (questions, answer) pairs of a .qna file, cleaned of spaces and odd line ends."""
    pairs = []
    for block in path.read_text(encoding="utf-8").split("> !# @qna.pair.source")[1:]:
        asked = block.split("**Filters")[0]
        questions = re.findall(r"^(?:# \?|-) (.+)$", asked, re.MULTILINE)
        answer = re.search(r"```markdown\n(.*?)```", block, re.DOTALL)
        if answer:
            text = re.sub(r"\s+", " ", answer[1]).strip().replace("’", "'")
            pairs.append(([tidy(question) for question in questions], text))
    return pairs


def tidy(question: str) -> str:
    """Return a question on one line, with straight quotes and no stray slash at its end."""
    return re.sub(r"\s+", " ", question).replace("’", "'").strip(" /")


@functools.cache
def own_words() -> dict[str, Any]:
    """Return own_intents.toml as it stands."""
    return tomllib.loads((HERE / "own_intents.toml").read_text(encoding="utf-8"))


def english(data: Path) -> list[tuple[str, list[str], dict[str, str]]]:
    """Return (name, questions, answer per persona) for English; the five files share their questions."""
    read = {persona: read_qna(require(data, f"chitchat_en_{persona}")) for persona in PERSONAS}
    same_for_all = own_words()["same_for_all"]
    rows = []
    for questions, friendly in read["friendly"]:
        known, answers = set(questions), {"friendly": friendly}
        for persona in PERSONAS[1:]:
            best = max(read[persona], key=lambda pair: len(known & set(pair[0])))
            answers[persona] = best[1]
        if questions[0] in same_for_all:
            answers = dict.fromkeys(PERSONAS, same_for_all[questions[0]]["answer"])
        rows.append((questions[0], questions, answers))
    return rows


def korean(data: Path) -> list[tuple[str, list[str], dict[str, str]]]:
    """Return (name, questions, answer per persona) for Korean.

    The questions are the public ones. Their answers stand under the wrong question here and there and are
    stiff, so that all of them are written anew in answers_ko.tsv.
    """
    with (HERE / "answers_ko.tsv").open(encoding="utf-8", newline="") as file:
        answers = {row["question"]: row for row in csv.DictReader(file, delimiter="\t")}
    rows = []
    for questions, _ in read_qna(require(data, "chitchat_ko")):
        row = answers[questions[0]]
        rows.append((questions[0], questions, {persona: row[persona] for persona in PERSONAS}))
    return rows


def questions_of_fact(data: Path, language: str) -> list[str]:
    """Return public questions of fact and tasks, which the model has to decline."""
    corpus = yaml.safe_load(require(data, f"trivia_{language}").read_text(encoding="utf-8"))
    asked = [str(turns[0]) for turns in corpus["conversations"]]
    if language == "en":
        lines = require(data, "tasks_en").read_text(encoding="utf-8").splitlines()
        asked += [json.loads(line)["instruction"] for line in lines]
    return [tidy(question) for question in asked if 8 <= len(question) <= 100]


def split(
    name: str, language: str, questions: list[str], answers: dict[str, str], *, own: bool
) -> Intent:
    """Return an intent whose questions are split; "more" questions are pinned to training."""
    pinned = own_words()["more"].get(name, {}).get("questions", [])
    fixed = {plain(question) for question in pinned}
    seen: set[str] = set()
    parts: dict[bool, list[str]] = {True: [], False: list(pinned)}
    for question in questions:
        # Repeats in other letters or points would put one question on both sides.
        if plain(question) in fixed | seen and plain(question):
            continue
        seen.add(plain(question))
        parts[is_held_out(question)].append(question)
    return Intent(name, language, tuple(parts[False]), tuple(parts[True]), answers, own)


def without_shared(rows: list[tuple[str, list[str], dict[str, str]]]) -> None:
    """Leave a question that stands under several intents only under the one with the fewest questions."""
    owners: dict[str, list[int]] = defaultdict(list)
    for index, (_, questions, _) in enumerate(rows):
        for question in {plain(question) for question in questions}:
            owners[question].append(index)
    sizes = [len(questions) for _, questions, _ in rows]
    for index, (_, questions, _) in enumerate(rows):
        questions[:] = [
            question
            for question in questions
            if min(owners[plain(question)], key=lambda other: sizes[other]) == index
        ]


def load_intents(data: Path) -> tuple[Intent, ...]:
    """Return every intent of both languages, the public ones first."""
    intents = []
    for language, rows in (("en", english(data)), ("ko", korean(data))):
        without_shared(rows)
        intents += [split(*row[:1], language, *row[1:], own=False) for row in rows]
    public = {plain(q) for intent in intents for q in (*intent.trained, *intent.held_out)}
    for own in own_words()["intent"]:
        questions = list(own["questions"])
        if own["name"] == "facts and tasks":
            questions += questions_of_fact(data, own["language"])
        questions = [q for q in questions if not plain(q) or plain(q) not in public]
        answers = {persona: own[persona] for persona in PERSONAS}
        intents.append(split(own["name"], own["language"], questions, answers, own=True))
    return tuple(intents)


def load_daily(data: Path, intents: tuple[Intent, ...]) -> list[tuple[str, str]]:
    """Return the Korean daily pairs that are not small talk already.

    A daily question close to a small-talk question would teach a second answer to it, or show a held-out one.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    with require(data, "songys").open(encoding="utf-8", newline="") as file:
        pairs = {tidy(row["Q"]): tidy(row["A"]) for row in csv.DictReader(file)}
    korean_questions = [
        question
        for intent in intents
        if intent.language == "ko"
        for question in (*intent.trained, *intent.held_out)
    ]
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    known = vectorizer.fit_transform(korean_questions)
    asked = list(pairs)
    closeness = (vectorizer.transform(asked) @ known.T).max(axis=1).toarray().ravel()
    return [
        (question, pairs[question])
        for question, close in zip(asked, closeness, strict=True)
        if close < SAME_QUESTION
        and 2 <= len(question) <= 50
        and len(pairs[question]) <= 50
        and not GRAVE.search(question)
    ]


def load(data: Path) -> Dialogues:
    """Read everything the starter learns from out of the data folder."""
    intents = load_intents(data)
    daily = load_daily(data, intents)
    return Dialogues(
        intents,
        tuple(pair for pair in daily if not is_held_out(pair[0])),
        tuple(pair for pair in daily if is_held_out(pair[0])),
    )


def in_persona(answer: str, persona: str) -> str:
    """Return a daily answer as a persona would end it; only two of them change the words."""
    if persona == "enthusiastic":
        return re.sub(r"\.(?=\s|$)", "!", answer)
    if persona == "professional":
        for casual, formal in FORMAL_ENDINGS:
            answer = re.sub(rf"{casual}(?=[.?!]|$)", formal, answer)
    return answer
