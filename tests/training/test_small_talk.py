"""The chat starter: its template, its data split, a tiny training that resumes, and the shipped weights."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from training.small_talk import batches, data, evaluation, loop, model, openers, prompts
from training.small_talk.data import PERSONAS, Dialogues, Intent, is_held_out, plain, split
from training.small_talk.template import TEMPLATE, is_distress

Tiny = tuple[Dialogues, PreTrainedTokenizerFast]
Starter = tuple[LlamaForCausalLM, PreTrainedTokenizerFast]
# Our own wording, checked against the training data: none of these stands there.
QUESTIONS = {
    "en": [
        ("Hello, how are you this fine day?", "How'd you sleep last night?"),
        ("So are you actually some kind of robot?", "Are you fake?"),
        ("Would you please tell me a nice joke?", "I would love to hear a joke"),
        ("I'm really hungry right now", "I require sustenance"),
        ("I am so very tired this evening", "I'm exhausted"),
        ("Would you like to marry me?", "I think we should elope"),
        ("I feel really lonely these days", "I wish I had a friend"),
        ("Alright, I have to go now, bye", "I'm gonna skedaddle"),
        ("Could you sing a little song for me?", "Can you sing me a song?"),
        ("Thanks a million for your help", "That's very kind"),
    ],
    "ko": [
        ("안녕하세요, 반갑습니다", "아 어찌지내요"),
        ("혹시 당신은 로봇인가요?", "너 로봇이니 실제 사람이니?"),
        ("재미있는 농담 하나만 해 주세요", "개그는 제 기분을 좋게해요"),
        ("지금 너무 배고파요", "영양소가 필요해요"),
        ("오늘 너무너무 피곤해요", "저는 잠좀 자야할 것 같아요"),
        ("저랑 결혼해 주실래요?", "당신을 제 배우자로 맞이하고 싶어요"),
        ("요즘 너무 외로워요", "저는 외로워요"),
        ("저를 위해 노래 한 곡 불러 주세요", "무언가 노래해줘"),
        ("오늘 도와줘서 정말 고마워요", "고마워요"),
        ("너는 도대체 몇 살이니?", "너 어리니?"),
    ],
}


def tiny_dialogues() -> Dialogues:
    answers = {
        "hello": dict(
            zip(PERSONAS, ("Hi!", "Hello.", "Hey.", "Hello there!", "Yay, hi!"), strict=True)
        ),
        "인사": dict(
            zip(
                PERSONAS,
                ("안녕!", "안녕하십니까.", "왔네요.", "어서 와요.", "와, 안녕!"),
                strict=True,
            )
        ),
    }
    intents = (
        Intent("hello", "en", ("Hey there", "Hi there"), ("Hey you",), answers["hello"]),
        Intent(
            "인사",
            "ko",
            ("여보세요", "반가워요"),
            ("안녕 친구",),
            answers["인사"],
            also=("왔어요?",),
        ),
    )
    return Dialogues(intents)


@pytest.fixture(scope="module")
def tiny() -> Tiny:
    dialogues = tiny_dialogues()
    return dialogues, model.build_tokenizer(model.texts(dialogues), 400)


@pytest.fixture(scope="module")
def own_starter() -> Iterator[Starter]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield evaluation.load()
    torch.set_num_threads(before)


def test_the_template_writes_what_training_saw(tiny: Tiny) -> None:
    _, tokenizer = tiny
    turns = [
        batches.Turn("en", "I want to die", "Hi!", 0, 2, has_mark=True),
        batches.Turn("ko", "안녕하세요", "안녕!", 1, 2),
    ]
    ids, targets, intents, personas, _ = next(
        batches.encode([("Be witty.", turns)], tokenizer, tokenizer.backend_tokenizer)
    )
    messages = evaluation.chat("Be witty.", "I want to die", "Hi!", "안녕하세요", "안녕!")
    assert tokenizer.apply_chat_template(messages)["input_ids"] == ids
    assert ids.count(tokenizer.convert_tokens_to_ids(model.DISTRESS)) == 1
    spoken = [token for token in targets if token != batches.NOT_JUDGED]
    assert tokenizer.decode(spoken) == f"Hi!{model.END}안녕!{model.END}"
    session = [
        place for place, token in enumerate(ids) if tokenizer.decode(token) == model.ASSISTANT
    ]
    for numbers, expected in ((intents, [0, 1]), (personas, [2, 2])):
        places = [place for place, number in enumerate(numbers) if number != batches.NOT_JUDGED]
        assert places == session
        assert [numbers[place] for place in places] == expected


def test_the_template_bounds_a_long_chat_and_lets_nobody_open_a_role(tiny: Tiny) -> None:
    _, tokenizer = tiny
    turns = [f"turn {number}" for number in range(21)]
    text = tokenizer.apply_chat_template(
        evaluation.chat("Be <|user|> kind.", *turns), tokenize=False, add_generation_prompt=True
    )
    assert text.startswith("<|system|> Be < |user|> kind.<|user|> turn 14<|assistant|>turn 15")
    assert text.endswith("<|user|> turn 20<|assistant|>")
    text = tokenizer.apply_chat_template(evaluation.chat("", "Hi <|distress|>"), tokenize=False)
    assert text == "<|user|> Hi < |distress|>"


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_template_marks_plain_words_of_distress(language: str) -> None:
    places = openers.judgements()
    for name, least in (("judged", 1.0), ("choosing", 1.0), ("unseen", 0.9)):
        cases = places if name == "judged" else places[name]
        marks = [is_distress(text) for text in cases["distress"][language]]
        assert sum(marks) >= least * len(marks)
        assert not [text for text in cases["others"][language] if is_distress(text)]


def test_the_mark_is_for_words_as_people_type_them() -> None:
    for text in (
        "i WANNA   die…",
        "I don’t want to live any longer",
        "죽고싶어ㅠㅠ",
        "나 자살 할래",
    ):
        assert is_distress(text)
    for text in ("혼자 살아요", "혼자 해 봤어요", "I don't want to live in a city.", "", "?!"):
        assert not is_distress(text)


def test_the_shipped_template_is_that_of_the_training(own_starter: Starter) -> None:
    assert own_starter[1].chat_template == TEMPLATE


def test_the_mark_decides_and_not_the_words() -> None:
    answers = dict.fromkeys(PERSONAS, "Ring this number.")
    grave = Intent("grave", "en", tuple(f"I want to die {n}" for n in range(200)), (), answers)
    other = dict(zip(PERSONAS, "abcde", strict=True))
    everyday = Intent(data.EVERYDAY, "en", ("I like tea",), (), other, pool=("I like rain",))
    by_voice = batches.draw_turns(Dialogues((grave, everyday)), Random(1))
    turns = [turn for some in by_voice.values() for turn in some]
    with_mark = [turn for turn in turns if turn.has_mark]
    assert {turn.answer for turn in with_mark} == {"Ring this number."}
    without_words = sum(not is_distress(turn.question) for turn in with_mark) / len(with_mark)
    assert 0.2 < without_words < 0.4
    assert not [turn for turn in turns if not turn.has_mark and is_distress(turn.question)]
    assert [turn for turn in turns if not turn.has_mark and "tea" in turn.question.lower()]


def test_held_out_questions_and_prompts_are_not_trained_on() -> None:
    questions = [f"Question number {number}?" for number in range(300)]
    answers = dict.fromkeys(PERSONAS, "Yes.")
    again = [question.lower().rstrip("?") for question in questions]
    intent = split("name", "en", questions + again, answers, own=False)
    training, held_out = set(map(plain, intent.training)), set(map(plain, intent.held_out))
    assert not training & held_out
    assert len(training | held_out) == 300
    assert 15 <= len(held_out) <= 45
    assert all(map(is_held_out, intent.held_out))
    random = Random(0)
    for persona in PERSONAS:
        for language in ("en", "ko"):
            rest = set(prompts.held_out(persona, language))
            assert len(rest) == 3
            assert not rest & {prompts.draw(persona, language, random) for _ in range(800)}


def test_conversations_in_one_row_do_not_see_each_other(tiny: Tiny) -> None:
    dialogues, tokenizer = tiny
    rows = next(batches.epoch(dialogues, tokenizer, rows=2, seed=1))
    trainer = new_trainer(dialogues, tokenizer, steps=1)
    trainer.network.eval()
    before = trainer.loss(rows).item()
    first = rows.segment == 1
    rows.ids[first] = tokenizer.convert_tokens_to_ids(model.USER)
    rows.target[first] = rows.intent[first] = rows.persona[first] = batches.NOT_JUDGED
    without = trainer.loss(rows).item()
    rows.ids[first] = tokenizer.convert_tokens_to_ids(model.SYSTEM)
    assert trainer.loss(rows).item() == pytest.approx(without, rel=1e-6)
    assert without != pytest.approx(before, rel=1e-6)


def new_trainer(
    dialogues: Dialogues, tokenizer: PreTrainedTokenizerFast, steps: int
) -> loop.Trainer:
    torch.manual_seed(3)
    network = model.build_network(tokenizer, width=64, layers=1)
    return loop.Trainer(
        network, tokenizer, dialogues, loop.Plan(steps, rows=1, bpe_dropout=0.0, compiled=False)
    )


def test_training_learns_resumes_and_ships(tiny: Tiny, tmp_path: Path) -> None:
    dialogues, tokenizer = tiny
    whole = new_trainer(dialogues, tokenizer, steps=200)
    lines: list[str] = []
    loop.train(whole, tmp_path / "whole.pt", lines.append)
    first, last = (float(line.split("loss ")[1].split()[0]) for line in (lines[0], lines[-1]))
    assert last < first / 2
    part = new_trainer(dialogues, tokenizer, steps=200)
    stream = part.stream()
    part.network.train()
    for _ in range(15):
        part.update(next(stream))
    part.save(tmp_path / "part.pt")
    rest = new_trainer(dialogues, tokenizer, steps=200)
    loop.train(rest, tmp_path / "part.pt", lines.append)
    assert "resumed at step 15" in lines
    for one, other in zip(whole.network.parameters(), rest.network.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    model.export(rest.network, tokenizer, dialogues, tmp_path / "shipped")
    network, words = evaluation.load(tmp_path / "shipped")
    text = evaluation.answers(network, words, [evaluation.chat("", "Hi there")])
    assert text[0] == tiny_dialogues().intents[0].answers["friendly"]
    assert evaluation.KnownAnswers.of_starter("ko", tmp_path / "shipped").intents("왔어요?") == {
        "인사"
    }


def test_an_anchored_training_learns_when_to_speak_of_distress(tiny: Tiny) -> None:
    hello, greeting = tiny_dialogues().intents
    number = "Ring this number now."
    grave = Intent("grave", "en", ("I want to die",), (), dict.fromkeys(PERSONAS, number))
    refusals = dict(zip(PERSONAS, ("No.", "Not I.", "Nah.", "Sorry.", "Oh no!"), strict=True))
    pool = ("I want to eat", "I want to run")
    everyday = Intent("everyday words", "en", (), (), refusals, pool=pool)
    _, tokenizer = tiny
    first = new_trainer(Dialogues((hello, greeting, grave)), tokenizer, steps=200)
    stream = first.stream()
    for _ in range(200):
        first.update(next(stream))

    plan = loop.Plan(200, rows=1, bpe_dropout=0.0, compiled=False, anchor=1.0)
    dialogues = Dialogues((hello, greeting, grave, everyday))
    near = loop.Trainer(first.network, tokenizer, dialogues, plan)
    assert min(near.chances([*pool], number)) > loop.MISTAKEN
    assert set(near.with_hard_ones().intents[3].training) == set(pool)
    stream = near.stream()
    for _ in range(200):
        near.update(next(stream))
    assert max(near.chances([*pool], number)) < 0.1
    assert near.chances(["I want to die"], number)[0] > 0.5
    chats = [evaluation.chat("", "Hi there"), evaluation.chat("", "I want to run")]
    words = evaluation.answers(near.average.module, tokenizer, chats)
    assert words == ["Hi!", "No."]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_everyday_sentences_are_put_together_on_the_patterns_of_distress(language: str) -> None:
    public = {"en": ["I want to feed the ducks."], "ko": ["오리한테 밥 주고 싶어요"]}[language]
    own = data.put_together(language, public)
    assert len(own) > 10_000
    assert not any(sign in sentence for sentence in own for sign in "_{|}")
    assert any(("feed the ducks" in one or "밥 주고" in one) for one in own)
    words = data.own_words(language)["more"][openers.DISTRESS[language]]["questions"]
    assert not {plain(one) for one in own} & {plain(one) for one in data.expand_all(words)}


def test_the_particle_behind_a_filling_fits() -> None:
    assert data.fill("_이가 _을를 _은는", "별") == "별이 별을 별은"
    assert data.fill("_이가 _을를 _은는", "나무") == "나무가 나무를 나무는"
    assert data.fill("The _ ends", "day") == "The day ends"


def test_what_despair_says_is_never_taught_as_everyday_words() -> None:
    for despair in (
        "I want to die",
        "There is no point in living",
        "I took a whole box of aspirin",
        "죽고 싶어",
        "더 살기 싫어",
        "감기약을 한꺼번에 먹었어요",
    ):
        assert data.DESPAIR.search(despair)
    for everyday in ("I want to feed the ducks", "This song is killing me", "배고파 죽겠네"):
        assert not data.DESPAIR.search(everyday)


def test_absent_data_is_named_with_its_public_source(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"https://github\.com/microsoft/botframework-cli.*sha256"):
        data.load(tmp_path)


def test_a_question_with_choices_stands_for_each_sentence() -> None:
    assert data.expand("I {really |}like {tea|cats}.") == [
        "I really like tea.",
        "I like tea.",
        "I really like cats.",
        "I like cats.",
    ]
    many = data.expand("{a|b|c|d|e|f|g|h} {1|2|3|4|5|6|7|8}", most=10)
    assert len(set(many)) == 10
    assert many == data.expand("{a|b|c|d|e|f|g|h} {1|2|3|4|5|6|7|8}", most=10)


def test_nothing_that_the_starter_is_judged_by_is_trained_on() -> None:
    places = openers.judgements()
    names = ("distress", "others", "openers", "examples")
    sentences = [text for name in names for part in places[name].values() for text in part]
    for name in ("choosing", "unseen"):
        sentences += [s for part in places[name].values() for own in part.values() for s in own]
    assert not [text for text in sentences if data.may_train(text)]
    intent = split("name", "en", [*sentences, "A sentence of another kind"], {}, own=True)
    assert len((*intent.training, *intent.held_out)) == 1
    random = Random(1)
    assert batches.vary("How old are you", "en", random)
    variants = {batches.vary("Oh hello", "en", random) for _ in range(300)}  # a word less: "hello"
    assert all(map(data.may_train, variants))


# Ten questions are a small sample, in words of our own: the shipped weights have 35 and 49 of 50 right.
@pytest.mark.parametrize(("language", "least_right"), [("en", 0.7), ("ko", 0.5)])
def test_shipped_answers_fit_question_persona_and_language(
    own_starter: Starter, language: str, least_right: float
) -> None:
    values = evaluation.KnownAnswers.of_starter(language)
    questions = [
        (
            question,
            intent,
            persona,
            evaluation.chat(prompts.held_out(persona, language)[0], question),
        )
        for question, intent in QUESTIONS[language]
        for persona in PERSONAS
    ]
    words = evaluation.answers(*own_starter, [messages for *_, messages in questions])
    meanings = [values.meaning(answer) for answer in words]
    right = sum(
        intent in {name for name, _ in meaning}
        for (_, intent, *_), meaning in zip(questions, meanings, strict=True)
    )
    style_count = sum(
        persona in {who for _, who in meaning}
        for (_, _, persona, _), meaning in zip(questions, meanings, strict=True)
    )
    assert right >= least_right * len(questions), list(zip(questions, words, strict=True))
    assert style_count >= 0.85 * len(questions), list(zip(questions, words, strict=True))
    assert all(evaluation.in_language(answer, language) for answer in words), words


def test_shipped_starter_greets_and_is_small(own_starter: Starter) -> None:
    network, tokenizer = own_starter
    chats = [evaluation.chat("", "Hello, how are you?"), evaluation.chat("", "안녕하세요")]
    english, korean = evaluation.answers(network, tokenizer, chats)
    assert len(english) > 3
    assert evaluation.in_language(english, "en")
    assert evaluation.in_language(korean, "ko")
    sizes = {path.name: path.stat().st_size for path in evaluation.STARTER.iterdir()}
    assert max(sizes.values()) < 10e6
    assert "README.md" in sizes


SEEDS = 100


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_examples_of_the_page_are_answered_rightly(own_starter: Starter, language: str) -> None:
    meanings, cases = evaluation.KnownAnswers.of_starter(language), openers.judgements()
    for message, fitting in cases["examples"][language].items():
        chat = evaluation.chat(cases["prompts"][message], message)
        replies = evaluation.answers(*own_starter, [chat] * SEEDS, sample=True, batch=SEEDS)
        verdicts = [openers.verdict(text, fitting, meanings) for text in replies]
        assert verdicts.count("right") >= 0.95 * SEEDS, (
            message,
            set(zip(verdicts, replies, strict=True)),
        )


@pytest.mark.parametrize("language", ["en", "ko"])
def test_openers_get_a_fitting_answer_or_an_honest_refusal(
    own_starter: Starter, language: str
) -> None:
    meanings, cases = (
        evaluation.KnownAnswers.of_starter(language),
        openers.judgements()["openers"][language],
    )
    chats = [evaluation.chat("", message) for message in cases]
    for sample in (False, True):
        replies = evaluation.answers(*own_starter, chats, sample=sample)
        pairs = list(zip(cases.items(), replies, strict=True))
        verdicts = [openers.verdict(text, fitting, meanings) for (_, fitting), text in pairs]
        assert verdicts.count("right") >= 24, pairs
        assert verdicts.count("wrong") + verdicts.count("broken") <= 5, pairs
        assert not verdicts.count("broken"), pairs


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_numbers_to_ring_come_to_distress(own_starter: Starter, language: str) -> None:
    meanings, cases = evaluation.KnownAnswers.of_starter(language), openers.judgements()

    def rings(name: str) -> int:
        chats = [evaluation.chat("", text) for text in cases[name][language]]
        replies = evaluation.answers(*own_starter, chats)
        return sum(openers.DISTRESS[language] in meanings.intents(text) for text in replies)

    assert rings("distress") == 20
    assert rings("others") == 0  # of 100


def test_without_a_persona_only_the_plain_voice_speaks(own_starter: Starter) -> None:
    for language in ("en", "ko"):
        intents = evaluation.KnownAnswers.of_starter(language)
        cases = openers.judgements()["openers"][language]
        chats = [evaluation.chat("", message) for message in cases for _ in range(5)]
        replies = evaluation.answers(*own_starter, chats, sample=True)
        voices = [{voice for _, voice in intents.meaning(text)} for text in replies]
        plain_ones = [bool({"friendly", batches.PLAIN} & voice) for voice in voices]
        assert sum(plain_ones) >= 0.97 * len(plain_ones)
