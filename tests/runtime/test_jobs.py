import threading
import time
from contextlib import closing

import pytest

from models.contract import Finished, Loading, Working
from models.errors import ModelError, OutOfMemory, Unavailable
from models.runtime import jobs
from models.runtime.cache import ModelCache
from models.runtime.jobs import run, together
from models.sentiment.events import Scores
from models.sentiment.requests import SentimentRequest
from models.settings import Settings
from tests.engines import Steps, spec


@pytest.fixture
def cache():
    Steps.reset()
    cache = ModelCache(Settings())
    yield cache
    cache.close()


def ask(text):
    return SentimentRequest.of(text=str(text))


def free(cache, seconds=2.0):
    """Wait until nobody holds a model."""
    end = time.monotonic() + seconds
    while any(m.active for m in cache.status()):
        assert time.monotonic() < end, "the model was not given back"
        time.sleep(0.005)


def test_events_arrive_in_order_and_end_with_finished(cache):
    events = [e for e in run(cache, spec("steps"), ask(3)) if not isinstance(e, Working)]
    assert [e.scores[0][1] for e in events if isinstance(e, Scores)] == [0, 1, 2]
    assert isinstance(events[-1], Finished)
    assert events[-1].load_seconds > 0
    assert 0 < events[-1].first_seconds < events[-1].seconds
    again = list(run(cache, spec("steps"), ask(1)))[-1]
    assert again.load_seconds == 0


def test_no_next_blocks_for_long_while_a_model_loads(cache):
    Steps.load_seconds = 1.6
    waits, last = [], time.perf_counter()
    events = []
    for event in run(cache, spec("slow"), ask(1)):
        events.append(event)
        waits.append(time.perf_counter() - last)
        last = time.perf_counter()
    assert max(waits) < 1.2
    assert Working in {type(e) for e in events if e}
    assert all(e.during == Loading(spec("slow")) for e in events if isinstance(e, Working))
    assert isinstance(events[-1], Finished)


def test_closing_returns_at_once_and_frees_the_model_within_a_step(cache):
    with closing(run(cache, spec("left"), ask(10_000))) as events:
        assert any(isinstance(e, Scores) for e in events)
        start = time.perf_counter()
    assert time.perf_counter() - start < 0.1
    free(cache)
    assert Steps.at_once == 0


def test_leaving_while_waiting_or_loading_leaves_no_lock(cache):
    Steps.load_seconds = 0.5
    loading = run(cache, spec("gone"), ask(5))
    next(loading)
    loading.close()
    waiting = run(cache, spec("gone"), ask(5))
    next(waiting)
    waiting.close()
    free(cache)
    assert isinstance(list(run(cache, spec("gone"), ask(1)))[-1], Finished)


@pytest.mark.parametrize(
    ("text", "kind"), [("memory", OutOfMemory), ("known", Unavailable), ("x", ModelError)]
)
def test_a_failure_is_told_in_kind_and_the_model_is_free_again(cache, text, kind, caplog):
    model = spec("fails", engine="Fails")
    record = []
    with pytest.raises(kind) as error:
        record.extend(run(cache, model, ask(text)))
    assert "secret" not in str(error.value)
    assert "secret" not in str(error.value.params)
    free(cache)


def test_one_at_a_time_however_many_ask(cache):
    threads = [
        threading.Thread(target=lambda: list(run(cache, spec("queue"), ask(5)))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Steps.most_at_once == 1
    assert Steps.loads == 1


def test_jobs_together_run_at_once_and_one_that_fails_does_not_stop_the_other(cache):
    jobs = [(spec("one"), ask(20)), (spec("two", "Fails"), ask("known")), (spec("three"), ask(20))]
    message = [(n, e) for n, e in together(cache, jobs) if not isinstance(e, Working)]
    assert [e for n, e in message if n == 1][-1].code == "unavailable"
    for number in (0, 2):
        events = [e for n, e in message if n == number]
        assert sum(isinstance(e, Scores) for e in events) == 20
        assert isinstance(events[-1], Finished)
    assert Steps.most_at_once >= 2


def test_leaving_jobs_together_stops_all_of_them(cache):
    jobs = [(spec("one"), ask(10_000)), (spec("two"), ask(10_000))]
    with closing(together(cache, jobs)) as events:
        record = set()
        while len(record) < 2:
            number, event = next(events)
            if isinstance(event, Scores):
                record.add(number)
    free(cache)


def test_a_job_takes_a_thread_that_has_done_one_and_idle_ones_end(cache, monkeypatch):
    monkeypatch.setattr(jobs, "_IDLE", 0.3)
    threads = set()

    def note(*_):
        threads.add(threading.current_thread())

    monkeypatch.setattr(cache.limits, "admit", note)
    for number in range(30):
        *_, last = run(cache, spec("threads"), ask(1 + number % 2))
        assert isinstance(last, Finished)
        time.sleep(0.005)  # the thread has still to say that it is idle
    assert len(threads) <= 3, "a thread a job"
    assert not any(thread.name.startswith("job") for thread in threads if thread.is_alive())
    end = time.monotonic() + 5
    while any(thread.is_alive() for thread in threads):
        assert time.monotonic() < end, "they stay"
        time.sleep(0.02)
    assert isinstance(list(run(cache, spec("threads"), ask(1)))[-1], Finished)
