"""Chat on this machine: real transformers models at tiny size, through the real cache and jobs."""

import subprocess
import sys
import threading
import time

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, ByT5Tokenizer, LlamaForCausalLM

from models.chat import recipe as chat_recipe
from models.chat.decoding import TextStream, generate_steps
from models.chat.events import ChatDone, Note, TextDelta
from models.chat.requests import ChatRequest
from models.contract import Finished, Placement
from models.errors import InvalidInput
from models.runtime.jobs import run
from tests import tiny
from tests.chatting import own_starters, spec

CPU = Placement("cpu", "float32", "no_gpu", 1)
torch.set_num_threads(1)  # as the jobs have it: tiny models are slower, and differ in bits, on more


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with own_starters(tmp_path_factory.mktemp("run")) as (folder, cache):
        tiny.llama(folder / "llama")
        tiny.llama(folder / "small", window=64)
        tiny.llama(folder / "brief", ends=tuple(range(0, 256, 8)))
        tiny.gpt2(folder / "gpt2")
        yield folder, cache


@pytest.fixture
def starters(page):
    return page[0]


@pytest.fixture
def cache(page):
    return page[1]


def ask(*messages: str, **options) -> ChatRequest:
    """Turns of the person and the model by turns; the last is the person's."""
    roles = ["user", "assistant"]
    turns = [{"role": roles[i % 2], "content": text} for i, text in enumerate(messages)]
    return ChatRequest.of(messages=turns, **({"seed": 7, "max_new_tokens": 40} | options))


def answer(cache, name: str, request: ChatRequest) -> tuple[list[str], ChatDone]:
    texts = [""] * request.num_return_sequences
    end = None
    for event in run(cache, spec(name), request):
        if isinstance(event, TextDelta):
            texts[event.index] += event.text
        elif isinstance(event, ChatDone):
            end = event
    assert end is not None
    return texts, end


def bare(folder, seed: int, request: ChatRequest, **options) -> str:
    """The same answer by transformers alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    inputs = tokenizer.apply_chat_template(
        request.turns(), add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    torch.manual_seed(seed)
    ids = model.generate(**inputs, max_new_tokens=request.max_new_tokens, **options)
    return tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


# ---------------------------------------------------------------- the draw


def test_the_answer_is_that_of_a_bare_generate_with_the_same_seed(cache, starters):
    request = ask("Hello", "Hi", "안녕?", system_prompt="Be kind.", temperature=0.9, top_p=0.8)
    (text,), end = answer(cache, "llama", request)
    options = {"do_sample": True, "temperature": 0.9, "top_p": 0.8, "top_k": 0}
    assert text == bare(starters / "llama", 7, request, **options).rstrip("\ufffd")
    assert end.seed == 7
    assert end.completion_tokens == 40
    assert end.finish_reason == "length"


def test_temperature_0_takes_the_likeliest_token_whatever_the_seed(cache, starters):
    request = ask("Hello", temperature=0)
    (text,), _ = answer(cache, "llama", request)
    assert text == bare(starters / "llama", 0, request, do_sample=False).rstrip("\ufffd")
    assert answer(cache, "llama", ask("Hello", temperature=0, seed=8))[0] == [text]


def test_a_seed_repeats_an_answer_and_another_changes_it(cache):
    first, again, other = (answer(cache, "llama", ask("Hello", seed=seed))[0] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_seed_of_minus_1_becomes_a_random_one_that_is_reported(cache):
    text, end = answer(cache, "llama", ask("Hello", seed=-1))
    assert end.seed >= 0
    assert answer(cache, "llama", ask("Hello", seed=end.seed))[0] == text


def test_the_system_prompt_and_earlier_turns_are_read(cache):
    plain = answer(cache, "llama", ask("Hello"))[0]
    assert answer(cache, "llama", ask("Hello", system_prompt="Be a pirate."))[0] != plain
    assert answer(cache, "llama", ask("Hey", "Hi", "Hello"))[0] != plain


def test_another_thread_that_draws_does_not_change_the_answer(cache):
    calm = answer(cache, "llama", ask("Hello"))[0]
    over = threading.Event()

    def disturb():
        while not over.is_set():
            torch.rand(10)

    thread = threading.Thread(target=disturb)
    thread.start()
    beside_others = answer(cache, "llama", ask("Hello"))[0]
    over.set()
    thread.join()
    assert beside_others == calm


def test_samples_follow_the_distribution(starters):
    """First tokens of 1,000 seeds against softmax(logits / temperature): a chi-square test."""
    from scipy.stats import chisquare

    model = LlamaForCausalLM.from_pretrained(starters / "llama").eval()
    inputs = dict(tiny.byte_tokenizer()("<user>Hi<end><assistant>", return_tensors="pt"))
    inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    options = {"do_sample": True, "temperature": 0.7, "top_k": 0, "max_new_tokens": 1}
    with torch.inference_mode():
        expected = torch.softmax(model(**inputs).logits[0, -1] / 0.7, -1).double().numpy()
        steps = (next(generate_steps(model, inputs, seed, **options)) for seed in range(1000))
        ids = torch.tensor([step.token for step in steps])
    counts = torch.bincount(ids, minlength=len(expected)).numpy()
    expected *= 1000 / expected.sum()
    often = expected >= 5
    sample_counts = [*counts[often], counts[~often].sum()]
    expected = [*expected[often], expected[~often].sum()]
    assert len(sample_counts) > 20
    assert chisquare(sample_counts, expected).pvalue > 0.001


def test_samples_side_by_side_have_seeds_in_a_row(cache):
    three, end = answer(cache, "llama", ask("Hello", num_return_sequences=3, max_new_tokens=20))
    alone = [
        answer(cache, "llama", ask("Hello", seed=seed, max_new_tokens=20)) for seed in (7, 8, 9)
    ]
    assert three == [text for (text,), _ in alone]
    assert len(set(three)) == 3
    assert end.completion_tokens == sum(single.completion_tokens for _, single in alone)


def test_a_model_that_ends_its_answer_says_stop(cache, starters):
    request = ask("Hello", max_new_tokens=200)
    (text,), end = answer(cache, "brief", request)
    assert end.finish_reason == "stop"
    assert end.completion_tokens < 200
    options = {"do_sample": True, "temperature": 0.8, "top_p": 0.95, "top_k": 0}
    assert text == bare(starters / "brief", 7, request, **options).rstrip("\ufffd")


def test_gpt2_continues_the_text_and_nothing_else(cache, starters):
    request = ask("earlier", "turns", "Once upon a time", system_prompt="ignored")
    (text,), end = answer(cache, "gpt2", request)
    assert end.notes == (Note("plain_continuation"),)
    assert end.prompt_tokens == len("Once upon a time")
    assert text == answer(cache, "gpt2", ask("Once upon a time"))[0][0]


# ---------------------------------------------------------------- letters


@pytest.mark.parametrize("make", [tiny.byte_tokenizer, ByT5Tokenizer], ids=["Rust", "Python"])
def test_no_half_letter_is_ever_yielded(make):
    tokenizer = make()
    for whole in ("안녕하세요 😀!", "a é 你好\n  x", "👩‍👩‍👧‍👦 끝"):
        text = TextStream(tokenizer)
        pieces = [text.add(token) for token in tokenizer(whole).input_ids]
        assert "".join(pieces) + text.rest() == whole
        assert not any("\ufffd" in piece for piece in pieces)


def test_a_letter_cut_in_two_at_the_end_is_left_out():
    tokenizer = tiny.byte_tokenizer()
    text = TextStream(tokenizer)
    pieces = [text.add(token) for token in tokenizer("가나").input_ids[:-1]]
    assert "".join(pieces) + text.rest() == "가"


def test_every_piece_the_page_gets_ends_with_a_whole_letter(cache):
    for event in run(cache, spec("llama"), ask("안녕", max_new_tokens=150)):
        if isinstance(event, TextDelta):
            assert event.text
            assert not event.text.endswith("\ufffd")


# ---------------------------------------------------------------- the window


def test_the_oldest_turns_are_left_out_when_they_do_not_fit(cache):
    request = ask("a" * 30, "b" * 10, "c" * 5, "d" * 5, "hello", max_new_tokens=20)
    (text,), end = answer(cache, "small", request)
    assert end.notes == (Note("turns_left_out", 2),)
    newest = ask("c" * 5, "d" * 5, "hello", max_new_tokens=20)
    assert answer(cache, "small", newest)[0] == [text]


def test_an_answer_gets_the_room_there_is(cache):
    _, end = answer(cache, "small", ask("hello", max_new_tokens=4096))
    room = 64 - end.prompt_tokens
    assert end.notes == (Note("room", room),)
    assert end.completion_tokens <= room


def test_a_message_over_the_window_is_refused_with_the_limit(cache):
    with pytest.raises(InvalidInput) as error:
        answer(cache, "small", ask("x" * 100))
    assert (error.value.code, error.value.params) == ("invalid_over_window", {"limit": 64})


def test_many_turns_are_fitted_in_few_tries(cache):
    start = time.perf_counter()
    _, end = answer(cache, "small", ask(*["word " * 80] * 398, "hello", max_new_tokens=1))
    assert end.notes == (Note("turns_left_out", 398),)
    assert time.perf_counter() - start < 5


# ---------------------------------------------------------------- stop, memory


def test_stop_ends_within_a_token_and_frees_the_model(cache):
    events = run(cache, spec("llama"), ask("Hello", max_new_tokens=200, num_return_sequences=8))
    for event in events:
        if isinstance(event, TextDelta):
            break
    events.close()
    start = time.perf_counter()
    answer(cache, "llama", ask("Hello", max_new_tokens=1))  # the gate lets one in at a time
    assert time.perf_counter() - start < 1


def test_nothing_of_a_conversation_stays_in_the_engine(cache):
    answer(cache, "llama", ask("a very private word"))
    with cache.lease(spec("llama"), threading.Event(), lambda event: None) as lease:
        values = {"_model", "_tokenizer", "_kv_cache"}  # the last: test_kv_cache.py
        state = {k: v for k, v in vars(lease.engine).items() if k not in values}
    program = state.pop("_program")  # traced of zeros when the model was loaded
    assert list(vars(program)) == ["_program"]
    assert state == {"_window": 256, "_prompts": None, "_is_tiny": True}


def test_the_device_and_dtype_are_those_of_the_placement(cache):
    events = list(run(cache, spec("llama"), ask("Hello", max_new_tokens=1)))
    assert isinstance(events[-1], Finished)
    assert (events[-1].placement.device, events[-1].placement.dtype) == ("cpu", "float32")
    with cache.lease(spec("llama"), threading.Event(), lambda event: None) as lease:
        weight = next(lease.engine._model.parameters())
        assert (weight.device.type, weight.dtype) == ("cpu", torch.float32)
        assert lease.engine.nbytes() > 50_000


# ---------------------------------------------------------------- the recipe


def test_the_recipes_repeat_the_answers_exactly(cache, starters):
    """One process runs all scripts one after another: its imports take the time."""
    requests = [
        ("llama", ask('It\'s "fun"', "ok\n", "안녕 \\ {x}", system_prompt="Be kind. " * 9)),
        ("llama", ask("Hello", temperature=0)),
        ("small", ask("a" * 30, "b" * 10, "hello", max_new_tokens=50)),
        ("gpt2", ask("Once upon a time", num_return_sequences=2)),
    ]
    expected, scripts = "", []
    for name, request in requests:
        texts, end = answer(cache, name, request)
        expected += "".join(text + "\n" for text in texts)
        scripts.append(chat_recipe.python(spec(name), request, CPU, end.notes))
    program = f"for script in {scripts!r}: exec(script, {{}})"
    root = starters.parent.parent
    output = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, check=True
    )
    assert output.stdout.decode() == expected
