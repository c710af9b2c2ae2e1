"""Conversations drawn from the questions and answers, packed into training rows.

Each epoch puts questions of every intent to one voice, in changed letters and points, alone or among up to five others
to the same voice. Several conversations share a row; a mask keeps them from seeing each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from training.small_talk import prompts
from training.small_talk.data import EVERYDAY, PERSONAS, Dialogues, Intent, may_train
from training.small_talk.model import ASSISTANT, CONTEXT, DISTRESS, END, SYSTEM, USER
from training.small_talk.template import is_distress

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

NOT_JUDGED = -100
# Voices: the plain one speaks where no persona is requested, in half of all conversations.
PLAIN = "plain"
VOICES, VOICE_WEIGHTS = (PLAIN, *PERSONAS), (50, 10, 10, 10, 10, 10)
# What the plain voice is prompted with: nothing, a prompt without a persona, one for a persona that it does not know.
OPEN, OPEN_WEIGHTS = ("nothing", "neutral", "unfamiliar"), (70, 12, 18)
TURNS, TURN_WEIGHTS = (1, 2, 3, 4, 6), (60, 20, 10, 6, 4)
PUBLIC, OWN, UNKNOWN, GRAVE = 30, 110, 800, 300  # questions an epoch of an intent, at most
# Where a trained model learns only when to speak of distress: the most of distress and of what only sounds like it, and the
# share of those above.
ANEW, SHARE = 800, 0.5
# Share of the marked questions that are everyday words, which come without the mark too: so the mark decides, not the words.
EVERYDAY_WITH_MARK = 0.3
OPENERS = {
    "en": ("Hi, ", "Hey, ", "So, ", "Well, ", "Hello! ", "Okay, ", "Um, ", "Tell me, ", "Oh, "),
    "ko": ("안녕하세요, ", "저기요, ", "음, ", "그런데 ", "근데 ", "저기, ", "있잖아요, ", "아, "),
}
CLOSERS = {"en": ("!", "?", ".", " :)", " lol", "??"), "ko": ("!", "?", "~", " ㅎㅎ", " ㅠㅠ", ".")}


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with its answer, and the numbers of its intent and persona (NOT_JUDGED for the plain voice).

    Attributes:
        anew: Whether the answer is taught anew where a trained model learns only when to speak of distress.
        has_mark: Whether it bears the mark of distress.
    """

    language: str
    question: str
    answer: str
    intent: int
    persona: int
    anew: bool = False
    has_mark: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """A packed batch; every array has shape (rows, CONTEXT).

    Attributes:
        ids: Token ids.
        segment: Number of the conversation a token belongs to, from 1; 0 is padding.
        position: Place of a token in its conversation.
        target: The next token where it is the assistant's to say, else NOT_JUDGED.
        intent: Number of the intent at the token that opens an answer, else NOT_JUDGED.
        persona: Number of the persona there, else NOT_JUDGED; also where the plain voice speaks.
        anew: Whether the target is of an answer that is taught anew.
    """

    ids: np.ndarray
    segment: np.ndarray
    position: np.ndarray
    target: np.ndarray
    intent: np.ndarray
    persona: np.ndarray
    anew: np.ndarray


def vary(question: str, language: str, random: Random, *, whole: bool = False) -> str:
    """Return the question as another person would type it, which may be none that the starter is judged by.

    Args:
        question: In whose words.
        language: Of the question.
        random: Draws the changes.
        whole: Whether every word stays: without its last, "I want to be dead" is everyday words.
    """
    variation = with_other_letters(question, language, random, whole=whole)
    return variation if may_train(variation) else question


def with_other_letters(question: str, language: str, random: Random, *, whole: bool = False) -> str:
    """Return the question in other case and points, with an opener or, unless whole, a word less."""
    words = question.split(" ")
    if len(words) >= 5 and random.random() < 0.08 and not whole:
        del words[random.randrange(len(words))]
        question = " ".join(words)
    if random.random() < 0.3:
        question = question.lower()
    if language == "ko":
        question = vary_korean(question, random)
    if random.random() < 0.25:
        question = question.rstrip("?!. ") or question
    if random.random() < 0.1:
        opener = random.choice(OPENERS[language])
        keep = question.startswith(("I ", "I'"))
        question = opener + (question if keep else question[:1].lower() + question[1:])
    if random.random() < 0.1:
        question = question.rstrip("?!. ") + random.choice(CLOSERS[language])
    return question


def vary_korean(question: str, random: Random) -> str:
    """Return the question with spaces left out here or there, or with 요 at its end taken or given."""
    words = question.split(" ")
    if len(words) > 1 and random.random() < 0.25:
        if random.random() < 0.4:
            return "".join(words)
        at = random.randrange(1, len(words))
        question = " ".join([*words[: at - 1], words[at - 1] + words[at], *words[at + 1 :]])
    bare = question.rstrip("?!. ")
    marks = question[len(bare) :]
    if random.random() < 0.12:
        if bare.endswith("요") and len(bare) > 3:
            return bare[:-1] + marks
        if bare.endswith(("어", "아", "해", "지")):
            return bare + "요" + marks
    return question


def questions_of_epoch(intent: Intent, random: Random, *, on_distress: bool = False) -> list[str]:
    """Return the questions of an intent for one epoch: of a large one a part, of a small one each again."""
    most = OWN if intent.own else PUBLIC
    if intent.name == "unknown":
        most = UNKNOWN
    elif intent.is_grave:
        most = GRAVE
    if on_distress:
        most = ANEW if intent.about_distress else round(SHARE * most)
    pool = list(intent.training)
    if len(pool) >= most:
        return random.sample(pool, most)
    again = min(most, 3 * len(pool)) - len(pool)  # one with few questions is learned less well
    return pool + random.choices(pool, k=again) if pool else []


def draw_turns(
    dialogues: Dialogues, random: Random, *, on_distress: bool = False
) -> dict[tuple[str, str], list[Turn]]:
    """Return an epoch's questions by voice and language, each in changed letters and points."""
    by_voice: dict[tuple[str, str], list[Turn]] = defaultdict(list)
    everyday: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for intent in dialogues.intents:
        if intent.name == EVERYDAY:
            everyday[intent.language] = (*intent.training, *intent.pool)
    for number, intent in enumerate(dialogues.intents):
        for question in questions_of_epoch(intent, random, on_distress=on_distress):
            voice = random.choices(VOICES, VOICE_WEIGHTS)[0]
            if voice == PLAIN:
                answer, persona = random.choice(intent.plainly), NOT_JUDGED
            else:
                answer, persona = intent.answers[voice], PERSONAS.index(voice)
            others = everyday[intent.language]
            if intent.is_grave and others and random.random() < EVERYDAY_WITH_MARK:
                question = random.choice(others)
                words = vary(question, intent.language, random, whole=True)
            else:
                words = vary(question, intent.language, random, whole=intent.about_distress)
                if is_distress(words) != intent.is_grave:
                    words = question
            turn = Turn(
                intent.language,
                words,
                answer,
                number,
                persona,
                anew=intent.about_distress,
                has_mark=intent.is_grave,
            )
            by_voice[voice, intent.language].append(turn)
    return by_voice


def draw_system(voice: str, language: str, random: Random) -> str:
    """Return a system prompt for the voice, mostly in the language; for the plain one often none."""
    if random.random() < 0.2:
        language = "en" if language == "ko" else "ko"
    if voice != PLAIN:
        return prompts.draw(voice, language, random)
    kind = random.choices(OPEN, OPEN_WEIGHTS)[0]
    return "" if kind == "nothing" else prompts.draw_open(kind, language, random)


def draw_conversations(
    dialogues: Dialogues, random: Random, *, on_distress: bool = False
) -> list[tuple[str, list[Turn]]]:
    """Return one epoch of conversations, shuffled, as (system prompt, turns)."""
    conversations = []
    for (voice, language), turns in draw_turns(dialogues, random, on_distress=on_distress).items():
        random.shuffle(turns)
        while turns:
            count = random.choices(TURNS, TURN_WEIGHTS)[0]
            part, turns = turns[:count], turns[count:]
            conversations.append((draw_system(voice, language, random), part))
    random.shuffle(conversations)
    # A person may change the language in the middle: now and then two conversations run into one.
    for index in range(0, len(conversations) - 1, 40):
        system, turns = conversations[index]
        if not system and not conversations[index + 1][0]:
            conversations[index] = (system, turns + conversations[index + 1][1])
    return conversations


def encode(
    conversations: list[tuple[str, list[Turn]]],
    tokenizer: PreTrainedTokenizerFast,
    loose: Tokenizer,
) -> Iterator[tuple[list[int], ...]]:
    """Yield (ids, targets, intents, personas, anew) of each conversation, cut to whole turns within CONTEXT.

    Args:
        conversations: As drawn.
        tokenizer: The tokenizer that ships.
        loose: The same with BPE dropout, for what people write: typing errors split words anew.
    """
    system, user, assistant, end, distress = tokenizer.convert_tokens_to_ids(
        [SYSTEM, USER, ASSISTANT, END, DISTRESS]
    )
    for prompt, turns in conversations:
        ids: list[int] = []
        if prompt:
            ids += [system, *loose.encode(" " + prompt).ids]
        targets, intents, personas = ([NOT_JUDGED] * len(ids) for _ in range(3))
        anew = [False] * len(ids)
        for turn in turns:
            mark = [distress] if turn.has_mark else []
            question_ids = [user, *loose.encode(" " + turn.question).ids, *mark, assistant]
            answer_ids = [*tokenizer.backend_tokenizer.encode(turn.answer).ids, end]
            if len(ids) + len(question_ids) + len(answer_ids) > CONTEXT:
                break
            before, after = [NOT_JUDGED] * (len(question_ids) - 1), [NOT_JUDGED] * len(answer_ids)
            ids += question_ids + answer_ids
            targets += before + answer_ids + [NOT_JUDGED]
            intents += [*before, turn.intent, *after]
            personas += [*before, turn.persona, *after]
            anew += [turn.anew] * (len(question_ids) + len(answer_ids))
        if personas:
            yield ids, targets, intents, personas, anew


def pack(pieces: Iterator[tuple[list[int], ...]], rows: int) -> Iterator[Rows]:
    """Yield batches of the given number of rows, each row filled with whole conversations."""
    shape = (rows, CONTEXT)

    def empty() -> Rows:
        blanks = (np.full(shape, NOT_JUDGED) for _ in range(3))
        return Rows(*(np.zeros(shape, np.int64) for _ in range(3)), *blanks, np.zeros(shape, bool))

    batch, lengths, count = empty(), np.zeros(rows, int), np.zeros(rows, int)
    for ids, targets, intents, personas, anew in pieces:
        size = len(ids)
        free = np.flatnonzero(lengths + size <= CONTEXT)
        if not len(free):
            yield batch
            batch, lengths, count = empty(), np.zeros(rows, int), np.zeros(rows, int)
            free = np.arange(rows)
        row = free[lengths[free].argmax()]  # the fullest row that still has room
        place = slice(lengths[row], lengths[row] + size)
        count[row] += 1
        batch.ids[row, place] = ids
        batch.segment[row, place] = count[row]
        batch.position[row, place] = np.arange(size)
        batch.target[row, place] = targets
        batch.intent[row, place] = intents
        batch.persona[row, place] = personas
        batch.anew[row, place] = anew
        lengths[row] += size
    if lengths.any():
        yield batch


def epoch(
    dialogues: Dialogues,
    tokenizer: PreTrainedTokenizerFast,
    rows: int,
    seed: int,
    bpe_dropout: float = 0.0,
    *,
    on_distress: bool = False,
) -> Iterator[Rows]:
    """Yield the batches of one epoch; on_distress: mostly of distress and of what only sounds like it.

    The same seed gives the same conversations; how BPE dropout splits their words, its library draws unseeded.
    """
    from tokenizers import Tokenizer

    loose = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    loose.model.dropout = bpe_dropout or None
    conversations = draw_conversations(dialogues, Random(seed), on_distress=on_distress)
    yield from pack(encode(conversations, tokenizer, loose), rows)
