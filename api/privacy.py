"""Keeps secrets and what people wrote out of every log.

Every record is made safe as it is made, whoever writes it: GenLab, Gradio, uvicorn, a library. A trace says
where a fault arose and of which kind it is; its message may quote what somebody wrote, so it is left out.
"""

import logging
import threading
import traceback
from collections.abc import Iterable
from typing import Any

from models.logs import scrub
from models.settings import Settings

log = logging.getLogger("genlab")


def install(settings: Settings, login: Iterable[tuple[str, str]] = ()) -> None:
    """Make the records of this process safe from now on; once, when the app starts."""
    secrets = secrets_of(settings, login)
    make = logging.getLogRecordFactory()

    def factory(*args: Any, **options: Any) -> logging.LogRecord:
        record = make(*args, **options)
        clean(record, secrets)
        return record

    logging.setLogRecordFactory(factory)
    threading.excepthook = _on_thread


def secrets_of(settings: Settings, login: Iterable[tuple[str, str]] = ()) -> list[str]:
    """The host's own: keys, tokens, and the passwords of `login`."""
    keys = [settings.openai_api_key, settings.hf_token, settings.metrics_token]
    secrets = [secret.get_secret_value() for secret in keys if secret]
    secrets += [password for _, password in login]
    return sorted((one for one in secrets if len(one) > 3), key=len, reverse=True)


def clean(record: logging.LogRecord, secrets: list[str]) -> None:
    """Make a record safe."""
    try:
        message = record.getMessage()
    except (TypeError, ValueError):  # arguments that do not fit
        message = str(record.msg)
    record.msg, record.args = scrub(message, secrets), ()
    if record.exc_info and record.exc_info[1] is not None:
        # What formatters write instead of a trace of their own.
        record.exc_text = scrub(trace_of(record.exc_info[1]), secrets)


def trace_of(error: BaseException) -> str:
    """Where an error arose and of which kind it and its causes are, without their messages."""
    kinds = [type(error).__name__]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while cause is not None and len(kinds) < 5:
        kinds.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    return "".join(traceback.format_tb(error.__traceback__)) + " from ".join(kinds)


def _on_thread(fault: threading.ExceptHookArgs) -> None:
    if fault.exc_value is not None and fault.exc_type is not SystemExit:
        name = fault.thread.name if fault.thread else "?"
        log.error("a thread failed: %s", name, exc_info=fault.exc_value)
