"""The questions and answers of the chat starter: read, cleaned, and split into trained and held out.

An intent is one matter that people raise in many words ("Are you a robot?"), with one answer per persona.
"""

from __future__ import annotations

import csv
import functools
import gzip
import hashlib
import itertools
import json
import math
import re
import tarfile
import tomllib
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import yaml

from training.corpora import require
from training.scenes.words import with_particle
from training.small_talk.template import is_distress

PERSONAS = ("friendly", "professional", "witty", "caring", "enthusiastic")
LANGUAGES = ("en", "ko")
EVERYDAY = "everyday words"  # the intent of what only sounds like distress
HELD_OUT_SHARE = 10  # one question in ten
# Words near distress: such a message must not be taught as one that the model does not know.
GRAVE = re.compile(
    r"죽|자살|자해|살기|살고 ?싶|포기|유서|목숨|suicid|\bkill|\bdie|\bdead|\bdying|overdos|\bhurt|\bcut\b|alive",
    re.IGNORECASE,
)
# A sentence of despair, or near it: such a one must not be taught as everyday words.
DESPAIR = re.compile(
    r"자살|자해|유서|목숨|손목|수면제|뛰어내|목을? ?매|죽고 ?싶|죽을래|죽어야|죽어 ?버|죽는 ?게|죽을 ?것|죽을 ?돈"
    r"|죽어도|죽도록|약을 ?(?:한 통|한꺼번에|잔뜩)|죽음|죽이|죽여|살고 ?싶지|(?<!이)살기 ?싫|그만 살|못 ?살|살아갈|살려|사는 ?게|태어나|깨어나"
    r"|(?:사는|살|살아야 할) ?(?:이유|가치|의미)|사라지|없어지[고는]|세상|삶을?|생을|천국|도망|벗어나|그만 ?두고 싶"
    r"|(?:이제|그만|다|모두) 끝내|영원히|아무도|아무 ?것도|미치겠|헤어지|이별|붙잡|버티|희망|절망|괴롭|괴로|고통"
    r"|지옥|외로|외롭|우울|울적|힘들|힘드|슬프|슬퍼|눈물|포기|혼자|상처|찢어지|숨 ?못|마지막 편지"
    r"|suicid|overdos|myself|kill(?:ing)? (?:\w+sel|him|her|them|you)|my life|end(?:ing)? it|without me"
    r"|\b(?:want|wish|wanna|ready|going|like|tried|rather|prefer|will|let me|could|should)\b.*\b(?:die|dead|death)\b"
    r"|\b(?:to|can't|could|would|'d) (?:be|breathe|cry|die|disappear|do (?:it|that|this)|end|exist|give up|go away"
    r"|go on|kill|leave|lie|live|lose|scream|stop|suffer|survive|take (?:it|this))(?: any ?more| any longer)?\W*$"
    r"|live (?:forever|without)|\b(?:alive|exist\w*|living)\b|worth living|forever|\bhurt|alone|lonel|depress"
    r"|(?:whole box of|too many) (?:aspirin|cough|allergy)|hopeless|worthless|miser|despair|unhapp|\bsad\b|\bpain\b|\bcry|pills|wrist|bridge|grave\b|funeral|murder",
    re.IGNORECASE,
)
# Character n-gram cosines: from SAME_MATTER on a public question is one of our own intents, and below
# FOREIGN a message is none of any intent.
SAME_MATTER, FOREIGN = 0.7, 0.34
# Below NO_OTHER on every other intent, a sentence that gets the answer of distress is one of everyday words.
NO_OTHER = 0.6
UNKNOWN = {"en": 2600, "ko": 2600}  # messages of no intent, to be taught as unknown
OF_FRAMES = 6000  # everyday sentences of one group of frames at most
EXPANSIONS = 40  # of one {a|b} question at most
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Intent:
    """One matter: the questions that raise it, those of them kept for judging, an answer per persona.

    Attributes:
        also: More answers of the plain voice, which speaks where no persona is requested: the friendly one, or these.
        own: Whether its questions are ours, not the public ones.
        pool: More questions, of which training takes those that the model still answers as distress.
    """

    name: str
    language: str
    training: tuple[str, ...]
    held_out: tuple[str, ...]
    answers: dict[str, str]
    own: bool = False
    also: tuple[str, ...] = ()
    pool: tuple[str, ...] = ()

    @property
    def is_grave(self) -> bool:
        """Whether it is the one of distress, which every persona answers in the same words."""
        return len(set(self.answers.values())) == 1

    @property
    def about_distress(self) -> bool:
        """Whether it is distress, or what only sounds like it."""
        return self.is_grave or self.name == EVERYDAY

    @property
    def plainly(self) -> tuple[str, ...]:
        """The answers of the plain voice."""
        return (self.answers["friendly"], *self.also)


@dataclass(frozen=True, slots=True)
class Dialogues:
    """Everything the starter learns from: small talk with an answer per persona, and what it has to decline."""

    intents: tuple[Intent, ...]


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
        head = block.split("**Filters")[0]
        questions = re.findall(r"^(?:# \?|-) (.+)$", head, re.MULTILINE)
        answer = re.search(r"```markdown\n(.*?)```", block, re.DOTALL)
        if answer:
            text = re.sub(r"\s+", " ", answer[1]).strip().replace("’", "'")
            pairs.append(([tidy(question) for question in questions], text))
    return pairs


def tidy(question: str) -> str:
    """Return a question on one line, with straight quotes and no stray slash at its end."""
    return re.sub(r"\s+", " ", question).replace("’", "'").strip(" /")


@functools.cache
def own_words(language: str) -> dict[str, Any]:
    """Return intents_en.toml or intents_ko.toml as it stands."""
    return tomllib.loads((HERE / f"intents_{language}.toml").read_text(encoding="utf-8"))


@functools.cache
def judging_fingerprints() -> frozenset[str]:
    """Return the fingerprints of the sentences that the starter is judged by; see never_trained.txt."""
    lines = (HERE / "never_trained.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def fingerprint(question: str) -> str:
    """Return what stands for a question in never_trained.txt: a hash of its plain form."""
    return hashlib.sha256((plain(question) or question.strip()).encode()).hexdigest()[:16]


def may_train(question: str) -> bool:
    """Say whether a question is none of those that the starter is judged by."""
    return fingerprint(question) not in judging_fingerprints()


def expand(template: str, most: int = EXPANSIONS) -> list[str]:
    """Return the sentences that a question with {a|b} stands for, at most so many, evenly drawn."""
    parts = [part.split("|") for part in re.split(r"[{}]", template)]
    # Outside braces "|" does not occur, so that every part is a list of choices.
    total = math.prod(len(part) for part in parts)
    numbers = range(total)
    if total > most:
        numbers = sorted(Random(template).sample(range(total), most))
    sentences = []
    for number in numbers:
        words = []
        for part in parts:
            number, choice = divmod(number, len(part))
            words.append(part[choice])
        sentences.append(re.sub(r"\s+", " ", "".join(words)).strip())
    return list(dict.fromkeys(sentences))


def expand_all(questions: list[str]) -> list[str]:
    """Return the sentences of several questions with {a|b}."""
    return [sentence for question in questions for sentence in expand(question)]


def english(data: Path) -> list[tuple[str, list[str], dict[str, str]]]:
    """Return (name, questions, answer per persona) for English; the five files share their questions."""
    read = {persona: read_qna(require(data, f"chitchat_en_{persona}")) for persona in PERSONAS}
    same_for_all = own_words("en")["same_for_all"]
    rows = []
    for questions, friendly in read["friendly"]:
        own, answers = set(questions), {"friendly": friendly}
        for persona in PERSONAS[1:]:
            best = max(read[persona], key=lambda pair: len(own & set(pair[0])))
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
    openings = [str(turns[0]) for turns in corpus["conversations"]]
    if language == "en":
        lines = require(data, "tasks_en").read_text(encoding="utf-8").splitlines()
        openings += [json.loads(line)["instruction"] for line in lines]
    return [tidy(question) for question in openings if 8 <= len(question) <= 100]


def split(
    name: str,
    language: str,
    questions: list[str],
    answers: dict[str, str],
    *,
    own: bool,
    also: tuple[str, ...] = (),
) -> Intent:
    """Return an intent whose questions are split; those that the starter is judged by are in neither part."""
    before: set[str] = set()
    parts: dict[bool, list[str]] = {True: [], False: []}
    for question in questions:
        # Repeats in other letters or points would put one question on both sides.
        if (plain(question) in before and plain(question)) or not may_train(question):
            continue
        before.add(plain(question))
        parts[is_held_out(question)].append(question)
    return Intent(name, language, tuple(parts[False]), tuple(parts[True]), answers, own, also)


def drop_common(rows: list[tuple[str, list[str], dict[str, str]]]) -> None:
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


def closeness(questions: list[str], others: list[str]) -> list[float]:
    """Return how near each question is to the nearest known one: the cosine of their character n-grams."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    table = vectorizer.fit_transform(others)
    nearest: list[float] = []
    for start in range(0, len(questions), 2000):
        part = vectorizer.transform(questions[start : start + 2000])
        nearest += (part @ table.T).max(axis=1).toarray().ravel().tolist()
    return nearest


def load_intents(data: Path, language: str) -> list[Intent]:
    """Return every intent of a language, the public ones first; "unknown" has no questions yet."""
    rows = english(data) if language == "en" else korean(data)
    words = own_words(language)
    own = [(entry, expand_all(entry["questions"])) for entry in words["intent"]]
    for entry, questions in own:
        if entry["name"] == "facts and tasks":
            questions += questions_of_fact(data, language)
    own_questions = [question for _, questions in own for question in questions]
    drop_common(rows)
    intents = []
    for name, questions, answers in rows:
        # What an intent of ours asks in nearly the same words is answered there.
        near = closeness(questions, own_questions)
        own_part = [q for q, close in zip(questions, near, strict=True) if close < SAME_MATTER]
        more = words["more"].get(name, {})
        own_part = expand_all(more.get("questions", [])) + own_part
        also = tuple(more.get("also", ()))
        intents.append(split(name, language, own_part, answers, own=False, also=also))
    public = {plain(q) for intent in intents for q in (*intent.training, *intent.held_out)}
    for entry, questions in own:
        new = [q for q in questions if not plain(q) or plain(q) not in public]
        answers = {persona: entry[persona] for persona in PERSONAS}
        also = tuple(entry.get("also", ()))
        intents.append(split(entry["name"], language, new, answers, own=True, also=also))
    return intents


def messages(data: Path, language: str) -> list[str]:
    """Return public sentences of all kinds, among which those are that small talk has no answer to."""
    if language == "ko":
        with require(data, "songys").open(encoding="utf-8", newline="") as file:
            sentences_of_all = [tidy(row["Q"]) for row in csv.DictReader(file)]
        with gzip.open(require(data, "nsmc_train"), "rt", encoding="utf-8") as file:
            reviews = [tidy(line.split("\t")[1]) for line in itertools.islice(file, 1, 12_000)]
        return sentences_of_all + [review for review in reviews if 6 <= len(review) <= 30]
    with gzip.open(require(data, "self_dialogue"), "rt", encoding="utf-8") as file:
        sentences_of_all = [tidy(turn) for line in file for turn in json.loads(line)["turns"]]
    sentences_of_all = Random(7).sample(
        [turn for turn in sentences_of_all if 4 <= len(turn.split()) <= 14], 12_000
    )
    lines = require(data, "tasks_by_users_en").read_text(encoding="utf-8").splitlines()
    sentences_of_all += [tidy(json.loads(line)["instruction"])[:120] for line in lines]
    with tarfile.open(require(data, "novels")) as archive:
        for member in archive.getmembers()[::5]:
            file = archive.extractfile(member) if member.isfile() else None
            text = file.read(400_000).decode("utf-8", "ignore")[100_000:] if file else ""
            sentences = re.split(r"(?<=[.?!])\s+", re.sub(r"\s+", " ", text))
            sentences_of_all += [
                tidy(s.strip('"“”')) for s in sentences[:400] if 4 <= len(s.split()) <= 14
            ]
    return sentences_of_all


def unknown(data: Path, language: str, intents: list[Intent]) -> list[str]:
    """Return messages that are near no question of any intent, a mixture in a fixed order."""
    own_questions = [q for intent in intents for q in (*intent.training, *intent.held_out)]
    candidates = list(dict.fromkeys(messages(data, language)))
    near = closeness(candidates, own_questions)
    foreign = [
        message
        for message, close in zip(candidates, near, strict=True)
        if close < FOREIGN and not GRAVE.search(message) and plain(message)
    ]
    return Random(7).sample(foreign, min(len(foreign), UNKNOWN[language]))


def fill(frame: str, filling: str) -> str:
    """Return the frame with the filling at its "_"; of 이가, 을를 and 은는 behind it the particle that fits stays."""
    for consonant, vowel in ("이가", "을를", "은는"):
        frame = frame.replace(f"_{consonant}{vowel}", with_particle(filling, consonant, vowel))
    return frame.replace("_", filling)


def put_together(language: str, candidates: list[str]) -> list[str]:
    """Return everyday sentences on the patterns of distress: frames with words of public text and of our own lists."""
    sentences: list[str] = []
    for part in own_words(language)["everyday"]:
        pattern = part.get("found")
        matches = [m.strip() for c in candidates if pattern for m in re.findall(pattern, c.lower())]
        fillings = [f for f in dict.fromkeys([*part["ordinary"], *matches]) if len(f) <= 24]
        frames = expand_all(part["frames"])
        whole = [fill(frame, filling) for frame in frames for filling in fillings]
        sentences += Random(7).sample(whole, min(len(whole), OF_FRAMES))
    return list(dict.fromkeys(sentences))


def everyday(data: Path, language: str, intents: list[Intent]) -> tuple[str, ...]:
    """Return sentences of no despair that are near no other intent, public ones and put together, in a fixed order.

    The choice of `unknown` leaves out what looks like distress and is none; here it is.
    """
    others = [
        question
        for intent in intents
        if not intent.is_grave and intent.name not in ("unknown", EVERYDAY)
        for question in (*intent.training, *intent.held_out)
    ]
    public = list(dict.fromkeys(messages(data, language)))
    candidates = [
        c
        for c in dict.fromkeys(public + put_together(language, public))
        if plain(c)
        and not DESPAIR.search(c)
        and not is_distress(c)
        and may_train(c)
        and not is_held_out(c)
    ]
    near = closeness(candidates, others)
    return tuple(c for c, close in zip(candidates, near, strict=True) if close < NO_OTHER)


def with_marks_only_of_distress(intent: Intent) -> Intent:
    """Return the intent to train with: of distress the questions that the template marks, of any other those that it does not."""
    training = tuple(q for q in intent.training if is_distress(q) == intent.is_grave)
    return replace(intent, training=training)


def load(data: Path) -> Dialogues:
    """Read everything the starter learns from out of the data folder."""
    intents_of_all: list[Intent] = []
    for language in LANGUAGES:
        intents = load_intents(data, language)
        for intent in intents:
            if intent.name == "unknown":
                own = [*intent.training, *intent.held_out]
                questions = own + unknown(data, language, intents)
                intent = split(
                    "unknown", language, questions, intent.answers, own=True, also=intent.also
                )
            elif intent.name == EVERYDAY:
                intent = replace(intent, pool=everyday(data, language, intents))
            intents_of_all.append(with_marks_only_of_distress(intent))
    return Dialogues(tuple(intents_of_all))
