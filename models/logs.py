"""The log: a JSON object a line, for programs that collect them. No line quotes what a person typed."""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Sequence
from types import TracebackType

from models.settings import Settings

_SECRETS = re.compile(
    r"\b(sk-|hf_|genlab_)[\w-]{8,}|\$argon2\S+|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?<=bearer )\S+|(?<=basic )\S+",
    re.I,
)
_STARS = "***"


def scrub(text: str, secrets: Sequence[str]) -> str:
    """Text without the host's secrets and without what looks like anybody's."""
    for secret in secrets:
        text = text.replace(secret, _STARS)
    return _SECRETS.sub(_STARS, text)


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON: time, level, logger, event, and its fields.

    Of an exception its kind and the places in the code are written, not its message nor the lines of
    code: these may hold a prompt or a key. At level DEBUG the message is there too, without secrets.
    """

    def __init__(self, messages: bool = False, secrets: Sequence[str] = ()) -> None:
        super().__init__()
        self._messages, self._secrets = messages, secrets

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        milliseconds = int(record.created * 1000) % 1000
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{moment}.{milliseconds:03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            _, error, trace = record.exc_info
            line["trace"] = self._trace(error, trace)
        return json.dumps(line, ensure_ascii=False, default=str)

    def _trace(self, error: BaseException, trace: TracebackType | None) -> str:
        places = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace)]
        words = f": {scrub(str(error), self._secrets)}" if self._messages else ""
        return f"Traceback: {' > '.join(places)} > {type(error).__name__}{words}"


def configure(settings: Settings, secrets: Sequence[str] = ()) -> None:
    """Send GenLab's log to the standard error stream, from the level of GENLAB_LOG_LEVEL on.

    Args:
        settings: the level.
        secrets: the host's, which no message quotes.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(settings.log_level == "debug", secrets))
    log = logging.getLogger("genlab")
    log.handlers = [handler]
    log.setLevel(settings.log_level.upper())
    log.propagate = False
