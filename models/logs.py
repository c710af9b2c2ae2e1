"""The log: a JSON object a line, for programs that collect them. No line quotes what a person typed."""

import json
import logging
import sys
import time
import traceback
from types import TracebackType

from models.settings import Settings


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON: time, level, logger, event, and its fields.

    Of an exception its kind and the places in the code are written, not its message nor the lines of
    code: these may hold a prompt or a key. At level DEBUG the message is there too.
    """

    def __init__(self, messages: bool = False) -> None:
        super().__init__()
        self._messages = messages

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
        words = f": {error}" if self._messages else ""
        return f"Traceback: {' > '.join(places)} > {type(error).__name__}{words}"


def configure(settings: Settings) -> None:
    """Send GenLab's log to the standard error stream, from the level of GENLAB_LOG_LEVEL on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(messages=settings.log_level == "debug"))
    log = logging.getLogger("genlab")
    log.handlers = [handler]
    log.setLevel(settings.log_level.upper())
    log.propagate = False
