"""What is seen of the app while it runs: each job, each model that comes and goes, each call of the API.

One observer hangs on the cache and is told by the jobs, the cache and the API; it never sees what a
request says. This one writes log lines; api/metrics.py has one that counts as well.
"""

import logging
import time
import uuid
from contextvars import ContextVar
from dataclasses import dataclass

from models.contract import Event, Finished, ModelSpec, Request, Stop
from models.errors import ModelError, Stopped
from models.servers.budget import BILLS, Bill
from models.tasks import id_in_logs

# The id of the call that a job belongs to, "" for a job of the page: it then gets one of its own.
REQUEST_ID: ContextVar[str] = ContextVar("REQUEST_ID", default="")
log = logging.getLogger("genlab.runs")


@dataclass(frozen=True, slots=True)
class JobReport:
    """A job that has ended.

    Attributes:
        request_id: of the API's call, or its own.
        request: the name of its class: what kind of work it was.
        outcome: "ok", "stopped" or the code of its problem.
        kind: of the problem, as models/errors.py has it; "" for none.
        wait_seconds: until the model was its own, without the load.
        load_seconds, seconds, first_seconds: as in Finished; 0 or None where it never came to that.
        prompt_tokens, completion_tokens: as far as the engine counted.
        dollars: what its calls to the host's own server, with the host's key, cost by the price table;
            where the server did not say, what they cost at most.
    """

    request_id: str
    spec: ModelSpec
    request: str
    outcome: str
    kind: str
    wait_seconds: float
    load_seconds: float
    seconds: float
    first_seconds: float | None
    prompt_tokens: int
    completion_tokens: int
    dollars: float


@dataclass(frozen=True, slots=True)
class CallReport:
    """A call of the API that has been answered; `path` is the route's, with the names of its places."""

    request_id: str
    method: str
    path: str
    status: int
    seconds: float


class Observer:
    """Writes what happens into the log, at level INFO; problems of our own at WARNING.

    Its methods are called by worker threads, some under the cache's lock: they are quick, and never
    call the cache.
    """

    def watch(self, spec: ModelSpec, request: Request, stop: Stop) -> "JobWatch":
        """Follow a job that begins now."""
        return JobWatch(self, spec, request, stop)

    def on_job(self, report: JobReport) -> None:
        """Told once a job."""
        level = logging.WARNING if report.kind == "failed" else logging.INFO
        fields = {
            "request_id": report.request_id,
            "model": id_in_logs(report.spec.id),
            "task": report.spec.task,
            "request": report.request,
            "outcome": report.outcome,
            "wait_seconds": round(report.wait_seconds, 3),
            "load_seconds": round(report.load_seconds, 3),
            "seconds": round(report.seconds, 3),
            "prompt_tokens": report.prompt_tokens,
            "completion_tokens": report.completion_tokens,
        }
        log.log(level, "job", extra={"fields": fields})

    def on_call(self, report: CallReport) -> None:
        """Told once a call of the API."""
        fields = {
            "request_id": report.request_id,
            "method": report.method,
            "path": report.path,
            "status": report.status,
            "seconds": round(report.seconds, 3),
        }
        log.log(
            logging.WARNING if report.status == 500 else logging.INFO,
            "call",
            extra={"fields": fields},
        )

    def on_load(self, spec: ModelSpec, seconds: float, nbytes: int) -> None:
        """A model is in memory now."""
        fields = {
            "model": id_in_logs(spec.id),
            "task": spec.task,
            "seconds": round(seconds, 3),
            "bytes": nbytes,
        }
        log.info("load", extra={"fields": fields})

    def on_unload(self, spec: ModelSpec, reason: str) -> None:
        """A model is out of memory: for "room", "idle" or "host" (somebody unloaded it), or "out_of_memory"."""
        fields = {"model": id_in_logs(spec.id), "task": spec.task, "reason": reason}
        log.info("unload", extra={"fields": fields})


class JobWatch:
    """Follows one job, in whose context it is made, by its events and reports its end."""

    def __init__(self, observer: Observer, spec: ModelSpec, request: Request, stop: Stop) -> None:
        self._observer, self._spec, self._stop = observer, spec, stop
        self._request = type(request).__name__
        self._id = REQUEST_ID.get() or uuid.uuid4().hex
        self._start = time.perf_counter()
        self._last: Finished | None = None
        self._tokens = (0, 0)
        self._bills = list[Bill]()
        BILLS.set(self._bills)

    def see(self, event: Event | ModelError | None) -> None:
        """Take note of an event; None or a ModelError is the job's last."""
        if isinstance(event, Finished):
            self._last = event
        elif event is None or isinstance(event, ModelError):
            self._end(event)
        elif hasattr(event, "completion_tokens"):  # whichever task counts tokens
            names = ("prompt_tokens", "completion_tokens")
            prompt_tokens, completion_tokens = (getattr(event, name, 0) or 0 for name in names)
            self._tokens = (prompt_tokens, completion_tokens)

    def _end(self, problem: ModelError | None) -> None:
        duration = time.perf_counter() - self._start
        end = self._last
        seconds = end.seconds if end else 0.0
        load_seconds = end.load_seconds if end else 0.0
        # A job that is stopped in its work ends as any other; the flag is set for all at their end, later.
        is_stop = isinstance(problem, Stopped) or (problem is None and self._stop.is_set())
        is_failure = problem is not None and not is_stop
        prompt_tokens, completion_tokens = self._tokens
        report = JobReport(
            request_id=self._id,
            spec=self._spec,
            request=self._request,
            outcome=problem.code if is_failure and problem else "stopped" if is_stop else "ok",
            kind=problem.kind if is_failure and problem else "",
            wait_seconds=max(0.0, duration - seconds - load_seconds) if end else duration,
            load_seconds=load_seconds,
            seconds=seconds,
            first_seconds=end.first_seconds if end else None,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            dollars=sum(bill.dollars for bill in self._bills),
        )
        self._observer.on_job(report)
