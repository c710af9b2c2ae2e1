"""What the shipped chat starter gets right, measured on questions and prompts it was never trained on."""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from models.weights.sources import STARTERS
from training.small_talk import data as dialogue_data
from training.small_talk import prompts
from training.small_talk.batches import PLAIN
from training.small_talk.data import LANGUAGES, PERSONAS, Intent, plain

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

STARTER = STARTERS / "small_talk"
NEAR = 0.8  # share of words in common from which an answer counts as a known one
NAMES = {"en": "English", "ko": "Korean"}
DRAWS = 40  # of one question, to see how far its answers differ
SAMPLE_QUESTIONS = {
    "en": ("Hello, how are you?", "Tell me a joke", "Who made you?", "I'm bored", "Good night"),
    "ko": ("안녕", "농담 하나 해줘", "누가 만들었어?", "심심해", "잘 자"),
}
REFUSALS = {
    "unknown",
    "everyday words",
    "facts and tasks",
}  # intents whose answers say that it knows small talk only
Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class KnownAnswers:
    """What the starter was taught to say, to recognise an answer by.

    Attributes:
        meanings: For the plain form of each answer, the (intent name, persona) pairs it stands for.
    """

    meanings: dict[str, frozenset[tuple[str, str]]]

    @classmethod
    def of(cls, intents: Iterable[Intent]) -> KnownAnswers:
        """Collect the answers of all intents."""
        meanings: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for intent in intents:
            for persona, answer in intent.answers.items():
                meanings[key(answer)].add((intent.name, persona))
            for answer in intent.also:
                meanings[key(answer)].add((intent.name, PLAIN))
        return cls({k: frozenset(v) for k, v in meanings.items()})

    @classmethod
    def of_starter(cls, language: str, folder: Path = STARTER) -> KnownAnswers:
        """Collect the answers that answers.json of the starter lists for a language."""
        entries = json.loads((folder / "answers.json").read_text(encoding="utf-8"))[language]
        return cls.of(
            Intent(name, language, (), (), entry, also=tuple(entry.pop("also", ())))
            for name, entry in entries.items()
        )

    def meaning(self, answer: str) -> frozenset[tuple[str, str]]:
        """Return what an answer stands for: itself, else the known one with NEAR of its words, else nothing."""
        exact = self.meanings.get(key(answer))
        if exact:
            return exact
        words = set(key(answer).split())
        best = max(self.meanings, key=lambda text: overlap(words, set(text.split())))
        return self.meanings[best] if overlap(words, set(best.split())) >= NEAR else frozenset()

    def intents(self, answer: str) -> set[str]:
        """Return the names of the intents that an answer stands for."""
        return {name for name, _ in self.meaning(answer)}


def key(answer: str) -> str:
    """Return an answer's words in small letters without points; of an answer without words, itself."""
    words = re.findall(r"\w+", answer.lower())
    return " ".join(words) or answer.strip()


def overlap(some: set[str], others: set[str]) -> float:
    """Return the share of words two answers have in common (Jaccard), from 0 to 1."""
    return len(some & others) / max(1, len(some | others))


def load(folder: Path = STARTER) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Return the starter in float32 with its tokenizer, ready to answer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return network, AutoTokenizer.from_pretrained(folder)


def chat(system: str, *turns: str) -> list[Message]:
    """Return a chat of a system prompt ("" for none) and turns that alternate from the user."""
    roles = ("user", "assistant")
    messages = [{"role": "system", "content": system}] if system else []
    return messages + [
        {"role": roles[number % 2], "content": turn} for number, turn in enumerate(turns)
    ]


def answers(
    network: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    chats: Iterable[list[Message]],
    *,
    sample: bool = False,
    batch: int = 64,
) -> list[str]:
    """Return the starter's answer to each chat: greedy, or sampled at temperature 0.8 with seed 7."""
    import torch

    texts = [
        tokenizer.apply_chat_template(one, tokenize=False, add_generation_prompt=True)
        for one in chats
    ]
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    results = [""] * len(texts)
    torch.manual_seed(7)
    options = {"do_sample": True, "temperature": 0.8, "top_p": 0.9} if sample else {}
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        inputs = tokenizer(
            [texts[number] for number in part],
            return_tensors="pt",
            padding=True,
            padding_side="left",
            add_special_tokens=False,
            return_token_type_ids=False,
        )
        with torch.inference_mode():
            output = network.generate(
                **inputs, **({"do_sample": False} | options), max_new_tokens=64
            )
        new = output[:, inputs["input_ids"].shape[1] :]
        for number, text in zip(
            part, tokenizer.batch_decode(new, skip_special_tokens=True), strict=True
        ):
            results[number] = text.strip()
    return results


@dataclass(frozen=True, slots=True)
class TestQuestion:
    """A held-out question, put to the starter in a persona by a held-out prompt."""

    intent: Intent
    persona: str
    messages: list[Message]


def ask(intents: Iterable[Intent], language: str, turns: int = 1) -> list[TestQuestion]:
    """Return every held-out question of the intents, the personas in turn; before it, trained turns.

    Args:
        intents: Those of both languages.
        language: Of the questions and of the prompts.
        turns: Questions in the chat; the last one is judged.
    """
    random = Random(7)
    mine = [intent for intent in intents if intent.language == language]
    results = []
    questions = [(intent, question) for intent in mine for question in intent.held_out]
    for number, (intent, question) in enumerate(questions):
        persona = PERSONAS[number % len(PERSONAS)]
        before: list[str] = []
        for other in random.sample(mine, turns - 1):
            before += [random.choice(other.training), other.answers[persona]]
        system = random.choice(prompts.held_out(persona, language))
        results.append(TestQuestion(intent, persona, chat(system, *before, question)))
    return results


def share(right: Iterable[bool]) -> str:
    """Return "91.2 % of 4,675" for a list of outcomes."""
    outcomes = list(right)
    return f"{100 * sum(outcomes) / max(1, len(outcomes)):.1f} % of {len(outcomes):,}"


def in_language(answer: str, language: str) -> bool:
    """Say whether an answer has letters of the language only; one without letters is in any."""
    if not plain(answer):
        return bool(answer)
    return (prompts.language_of(answer) == language) and (
        language == "ko" or answer.isascii() or not re.search(r"[^\x00-ɏ\W]", answer)
    )


class Judge:
    """The starter with what it was taught, to put held-out questions to."""

    def __init__(self, data: Path, folder: Path = STARTER) -> None:
        self.dialogues = dialogue_data.load(data)
        self.own_answers = KnownAnswers.of(self.dialogues.intents)
        self.network, self.tokenizer = load(folder)

    def answers(self, chats: Iterable[list[Message]], *, sample: bool = False) -> list[str]:
        """Return the starter's answers to the chats."""
        return answers(self.network, self.tokenizer, chats, sample=sample)

    def right(self, question: TestQuestion, answer: str) -> bool:
        """Say whether the answer is one of the question's intent, in whatever persona."""
        return question.intent.name in self.own_answers.intents(answer)

    def in_persona(self, question: TestQuestion, answer: str) -> bool:
        """Say whether the answer is one that the persona gives, to whatever question."""
        return question.persona in {persona for _, persona in self.own_answers.meaning(answer)}

    def small_talk(self, language: str) -> Iterator[tuple[str, str]]:
        """Yield the figures of one language: intent, persona, language, three turns, sampling."""
        public = [intent for intent in self.dialogues.intents if not intent.own]
        name = NAMES[language]
        cases = ask(public, language)
        pairs = list(zip(cases, self.answers(one.messages for one in cases), strict=True))
        yield f"{name}: right intent, greedy", share(self.right(a, text) for a, text in pairs)
        yield f"{name}: in the persona asked for", share(self.in_persona(a, t) for a, t in pairs)
        yield (
            f"{name}: in the question's language",
            share(in_language(t, language) for _, t in pairs),
        )
        replies = self.answers(one.messages[1:] for one in cases)
        right = [self.right(one, text) for one, text in zip(cases, replies, strict=True)]
        yield f"{name}: right intent, no system prompt", share(right)
        third = ask(public, language, turns=3)
        pairs = list(zip(third, self.answers(one.messages for one in third), strict=True))
        yield f"{name}: right intent in the third turn", share(self.right(a, t) for a, t in pairs)
        yield (
            f"{name}: in persona in the third turn",
            share(self.in_persona(a, t) for a, t in pairs),
        )
        replies = self.answers((one.messages for one in cases), sample=True)
        pairs = list(zip(cases, replies, strict=True))
        yield (
            f"{name}: sampled at 0.8, a known answer",
            share(bool(self.own_answers.meaning(t)) for t in replies),
        )
        yield f"{name}: sampled at 0.8, right intent", share(self.right(a, t) for a, t in pairs)

    def other(self) -> Iterator[tuple[str, str]]:
        """Yield the figures of our own questions and of messages of no intent."""
        for language in LANGUAGES:
            mine = [i for i in self.dialogues.intents if i.language == language and i.own]
            for what, intents in (
                ("our own questions, right intent", [i for i in mine if i.name not in REFUSALS]),
                ("unknown messages and tasks refused", [i for i in mine if i.name in REFUSALS]),
            ):
                own = ask(intents, language)
                replies = self.answers(one.messages[1:] for one in own)
                pairs = zip(own, replies, strict=True)
                if intents[0].name in REFUSALS:
                    right = (bool(REFUSALS & self.own_answers.intents(text)) for _, text in pairs)
                else:
                    right = (self.right(one, text) for one, text in pairs)
                yield f"{NAMES[language]}: {what}", share(right)

    def variety(self) -> Iterator[tuple[str, str]]:
        """Yield how many different answers the dice give, with and without a persona asked for."""
        for language, questions in SAMPLE_QUESTIONS.items():
            for name, system in (
                ("no system prompt", ""),
                ("witty asked for", prompts.held_out("witty", language)[0]),
            ):
                chats = [[chat(system, question)] * DRAWS for question in questions]
                numbers = [len(set(self.answers(one, sample=True))) for one in chats]
                mean = f"{sum(numbers) / len(numbers):.1f} over {len(numbers)} questions"
                yield f"{NAMES[language]}: different answers in {DRAWS} draws, {name}", mean

    def speed(self, threads: int = 1) -> tuple[str, str]:
        """Return tokens a second of one chat at a time; more threads only slow a network this small."""
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        count, start = 0, time.perf_counter()
        for question in (
            "Tell me another joke",
            "I feel lonely",
            "노래 불러 줘",
            "너 사람이야?",
        ) * 5:
            ids = self.tokenizer.apply_chat_template(
                chat("", question), add_generation_prompt=True, return_tensors="pt"
            )
            with torch.inference_mode():
                output = self.network.generate(**ids, do_sample=False, max_new_tokens=64)
            count += output.shape[1] - ids["input_ids"].shape[1]
        seconds = time.perf_counter() - start
        torch.set_num_threads(before)
        return (
            f"tokens a second, one chat, {threads} threads",
            f"{count / seconds:.0f} over {count}",
        )


def figures(data: Path, folder: Path = STARTER) -> Iterator[tuple[str, str]]:
    """Yield (name, value with its sample size) for the shipped chat starter."""
    judge = Judge(data, folder)
    yield judge.speed()
    for language in LANGUAGES:
        yield from judge.small_talk(language)
    yield from judge.other()
    yield from judge.variety()
