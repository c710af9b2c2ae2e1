"""What never reaches a log: secrets, and what people wrote."""

import logging

import pytest

from api import privacy
from models.settings import Settings

SETTINGS = Settings.model_validate(
    {
        "openai_api_key": "a-key-of-the-host",
        "hf_token": "t-of-host",
        "auth": "ann:password",
    }
)


@pytest.fixture
def records(monkeypatch):
    """The records of a logger, as any formatter writes them."""
    make = logging.getLogRecordFactory()
    monkeypatch.setattr(privacy.threading, "excepthook", None)
    lines = []

    class Lines(logging.Handler):
        def emit(self, record):
            lines.append(logging.Formatter("%(message)s").format(record))

    log = logging.getLogger("some.library")
    log.addHandler(handler := Lines())
    privacy.install(SETTINGS, SETTINGS.credentials or ())
    yield log, lines
    log.removeHandler(handler)
    logging.setLogRecordFactory(make)


@pytest.mark.parametrize(
    "secret",
    [
        "a-key-of-the-host",
        "t-of-host",
        "sk-proj-0123456789",
        "hf_0123456789abcdef",
        "genlab_0123456789abcdef",
        "Bearer abc.def",
        "Basic YW5uOnBhc3M=",
        "https://ann:pass@example.com/",
        "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
    ],
)
def test_a_secret_is_hidden(records, secret):
    log, lines = records
    log.warning("it said %s, twice: %s", secret, secret)
    kind, _, rest = secret.partition(" ")
    assert (rest or kind) not in lines[0]
    assert lines[0].count("***") == 2


def test_a_trace_says_where_and_what_kind_and_quotes_nobody(records):
    log, lines = records

    def fail():
        try:
            int("my private words")
        except ValueError as error:
            raise RuntimeError("my private words again") from error

    try:
        fail()
    except RuntimeError:
        log.exception("a job failed")
    text = lines[0].replace('int("my private words")', "").replace('"my private words again"', "")
    assert "private" not in text  # but for this file's own lines, which a trace shows
    assert "in fail" in lines[0]
    assert lines[0].endswith("RuntimeError from ValueError")


def test_a_record_whose_arguments_do_not_fit_is_no_fault(records):
    log, lines = records
    log.warning("%d of them", "many")
    assert lines == ["%d of them"]


def test_short_secrets_do_not_blacken_the_log():
    assert privacy.secrets_of(Settings(), [("ann", "a")]) == []
    assert privacy.secrets_of(Settings(), [("ann", "a long one")]) == ["a long one"]
