"""Tokens, speed and cost under an answer."""

import re

import pytest

from models.chat.events import ChatDone
from models.chat.requests import ChatRequest
from models.contract import Finished, Placement
from models.select import find
from models.servers.prices import check, price_of, read
from models.settings import Settings, SettingsError
from models.tasks import CHAT
from tabs.chat.answers import facts, tokens_per_second

ON_SERVER = Placement("server", "", "hosted")


def ask(**values) -> ChatRequest:
    return ChatRequest.of(messages=[{"role": "user", "content": "x"}], **values)


def finish_event(placement: Placement = ON_SERVER, first: float | None = 0.5) -> Finished:
    return Finished(find(CHAT, "openai"), placement, 2.5, 0.0, first)


def facts_line(settings: Settings, done: ChatDone, event: Finished | None = None, **values) -> str:
    return facts(settings, ask(**values), event or finish_event(), done)


def test_the_table_says_where_and_when_its_prices_were_read():
    lists = read(Settings().prices)
    assert lists
    for prices in lists:
        assert prices.source.startswith("https://")
        assert prices.models
        for price in prices.models.values():
            assert 0 < price.input < price.output
            assert price.cached_input is None or price.cached_input < price.input


def test_a_cost_is_tokens_times_prices():
    price, prices = price_of(read(Settings().prices), "api.openai.com", "gpt-5.4-2026-03-05")
    assert price == prices.models["gpt-5.4"]
    assert price.cost(1_000_000, 0) == pytest.approx(2.50)
    assert price.cost(0, 1_000_000) == pytest.approx(15.00)
    assert price.cost(1_000_000, 100_000, 500_000) == pytest.approx(1.25 + 0.125 + 1.5)


def test_a_cost_is_shown_with_the_date_of_its_price():
    line = facts_line(Settings(), ChatDone("stop", 3, 1000, 500), model_name="gpt-4o")
    assert "about $0.007500 (prices of 2026-03)" in line
    assert "약 0.007500달러(2026-03 가격)" in line


@pytest.mark.parametrize(
    ("done", "values"),
    [
        (ChatDone("stop", 3, 10, 5), {"model_name": "unheard-of"}),
        (ChatDone("stop", 3, 10, 5), {"model_name": "gpt-4o", "base_url": "http://localhost:1/v1"}),
        (ChatDone("stop", 3, None, 5), {"model_name": "gpt-4o"}),
        (ChatDone("stop", 3), {"model_name": "gpt-4o"}),
    ],
)
def test_no_cost_is_shown_where_none_is_known(done, values):
    assert "$" not in facts_line(Settings(), done, **values)


def test_a_model_here_costs_nothing_and_says_so_by_silence():
    here = finish_event(Placement("cpu", "float32", "no_gpu", 1))
    assert "$" not in facts_line(Settings(), ChatDone("stop", 3, 10, 5), here, model_name="gpt-4o")


def test_counts_speed_and_first_token_are_shown():
    line = facts_line(Settings(), ChatDone("stop", 3, 12, 41))
    assert "12 tokens in, 41 out" in line
    assert "20 tokens/s" in line  # 40 more in the two seconds after the first
    assert "first after 0.50 s" in line
    assert "토큰 12개 읽고 41개 씀" in line


def test_speed_counts_hidden_thoughts_over_the_whole_time():
    assert tokens_per_second(finish_event(), ChatDone("stop", 3, 1, 50, hidden_tokens=40)) == 20
    assert tokens_per_second(finish_event(), ChatDone("stop", 3, 1, 1)) is None
    assert tokens_per_second(finish_event(first=None), ChatDone("stop", 3, 1, 9)) is None


def test_a_host_may_bring_a_table_of_its_own(tmp_path):
    own = tmp_path / "prices.toml"
    own.write_text(
        '[[list]]\nserver = "127.0.0.1"\nsource = "our list"\ndate = "2026-11-21"\n'
        "[list.models]\nm = { input = 1, output = 2 }\n",
        encoding="utf-8",
    )
    limits = Settings.read(
        {"GENLAB_PRICES": str(own), "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "m"}
    )
    line = facts_line(limits, ChatDone("stop", 3, 1_000_000, 1_000_000))
    assert re.search(r"about \$3\.000000 \(prices of 2026-11-21\)", line)
    assert "$" not in facts_line(limits, ChatDone("stop", 3, 1, 1), model_name="gpt-4o")


@pytest.mark.parametrize(
    "content",
    [
        None,
        "not toml [",
        '[[list]]\nserver = "x"\n',
        "[[list]]\nserver='x'\nsource='y'\ndate='soon'",
    ],
)
def test_a_table_that_cannot_be_used_ends_the_start_and_names_its_variable(tmp_path, content):
    own = tmp_path / "prices.toml"
    if content is not None:
        own.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError) as error:
        check(Settings.read({"GENLAB_PRICES": str(own)}))
    assert "GENLAB_PRICES" in str(error.value)
    assert str(tmp_path) not in str(error.value)
