"""GET /metrics: figures of the running app for Prometheus.

Off on a public page, and where people sign in, unless GENLAB_METRICS_TOKEN is set; with it the scraper
sends the token ("Authorization: Bearer ..."). No figure says who did what.
"""

import hmac
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import psutil
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from models.contract import ModelSpec
from models.runtime.cache import ModelCache
from models.runtime.observer import CallReport, JobReport, Observer
from models.tasks import id_in_logs

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
# name -> (what it counts, labels)
_COUNTERS = {
    "genlab_jobs": ("Jobs that have ended.", ("task", "model", "outcome")),
    "genlab_errors": ("Jobs that ended in a problem, by its kind.", ("task", "kind")),
    "genlab_tokens": ("Tokens read (in) and written (out).", ("model", "direction")),
    "genlab_spend_dollars": ("Cost to the host of hosted answers, by the price table.", ("model",)),
    "genlab_loads": ("Models brought into memory.", ("task", "model")),
    "genlab_unloads": ("Models put out of memory.", ("task", "model", "reason")),
    "genlab_calls": ("Answered calls of the API.", ("method", "path", "status")),
}
_HISTOGRAMS = {
    "genlab_wait_seconds": ("Waiting for the model, without its load.", ("task", "model")),
    "genlab_job_seconds": ("The work itself.", ("task", "model")),
    "genlab_first_seconds": ("The work until its first event.", ("task", "model")),
    "genlab_load_seconds": ("Bringing a model into memory.", ("task", "model")),
    "genlab_call_seconds": ("Answering a call of the API.", ("path",)),
}


class Metrics(Observer):
    """Counts what it is told of, and logs it as well."""

    def __init__(self, cache: ModelCache) -> None:
        self._cache = cache

    @cached_property
    def _figures(self) -> dict[str, Any]:
        from prometheus_client import (
            CollectorRegistry,
            Counter,
            Histogram,
            disable_created_metrics,
        )

        disable_created_metrics()  # a second figure beside each, which nobody reads
        registry = CollectorRegistry()
        figures: dict[str, Any] = {"registry": registry}
        for name, (words, labels) in _COUNTERS.items():
            figures[name] = Counter(name, words, labels, registry=registry)
        for name, (words, labels) in _HISTOGRAMS.items():
            figures[name] = Histogram(name, words, labels, buckets=_SECONDS, registry=registry)
        registry.register(_Gauges(self._cache))  # type: ignore[arg-type]
        return figures

    def text(self) -> bytes:
        """All figures as Prometheus reads them."""
        from prometheus_client import generate_latest

        return generate_latest(self._figures["registry"])

    def on_job(self, report: JobReport) -> None:
        """Count a job."""
        super().on_job(report)
        task, model = report.spec.task, id_in_logs(report.spec.id)
        self._add("genlab_jobs", task, model, "problem" if report.kind else report.outcome)
        if report.kind:
            self._add("genlab_errors", task, report.kind)
        self._observe("genlab_wait_seconds", report.wait_seconds, task, model)
        if report.outcome == "ok":
            self._observe("genlab_job_seconds", report.seconds, task, model)
        if report.first_seconds is not None:
            self._observe("genlab_first_seconds", report.first_seconds, task, model)
        self._add("genlab_tokens", model, "in", by=report.prompt_tokens)
        self._add("genlab_tokens", model, "out", by=report.completion_tokens)
        self._add("genlab_spend_dollars", model, by=report.dollars)

    def on_call(self, report: CallReport) -> None:
        """Count a call."""
        super().on_call(report)
        self._add("genlab_calls", report.method, report.path, str(report.status))
        self._observe("genlab_call_seconds", report.seconds, report.path)

    def on_load(self, spec: ModelSpec, seconds: float, nbytes: int) -> None:
        """Count a load."""
        super().on_load(spec, seconds, nbytes)
        self._add("genlab_loads", spec.task, id_in_logs(spec.id))
        self._observe("genlab_load_seconds", seconds, spec.task, id_in_logs(spec.id))

    def on_unload(self, spec: ModelSpec, reason: str) -> None:
        """Count an unload."""
        super().on_unload(spec, reason)
        self._add("genlab_unloads", spec.task, id_in_logs(spec.id), reason)

    def _add(self, name: str, *labels: str, by: float = 1) -> None:
        if by:
            self._figures[name].labels(*labels).inc(by)

    def _observe(self, name: str, seconds: float, *labels: str) -> None:
        self._figures[name].labels(*labels).observe(seconds)


class _Gauges:
    """What is so now: read when the figures are asked for."""

    def __init__(self, cache: ModelCache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Any]:
        """The families of figures."""
        from prometheus_client.core import GaugeMetricFamily as Gauge

        labels = ["task", "model"]
        waiting = Gauge("genlab_queue_length", "Requests that wait for a model.", labels=labels)
        active = Gauge("genlab_active", "Requests at work in a model.", labels=labels)
        weights = Gauge(
            "genlab_model_bytes", "Bytes of a model's weights in memory.", labels=labels
        )
        sums: dict[tuple[str, str], list[int]] = {}
        for model in self._cache.status():
            name = id_in_logs(model.id)
            row = sums.setdefault((model.task, name), [0, 0, 0])
            for place, number in enumerate((model.waiting, model.active, model.nbytes)):
                row[place] += number
        for key, numbers in sums.items():
            for family, number in zip((waiting, active, weights), numbers, strict=True):
                family.add_metric(list(key), number)
        yield from (waiting, active, weights)
        memory = psutil.Process().memory_info().rss
        yield Gauge("genlab_memory_bytes", "Resident memory of the app's process.", value=memory)


class MetricsApp:
    """Answers GET /metrics.

    Args:
        cache: the app's models; their observer counts from now on.
        has_login: people sign in here.
    """

    def __init__(self, cache: ModelCache, has_login: bool = False) -> None:
        self._metrics = Metrics(cache)
        cache.observer = self._metrics
        self._settings, self._has_login = cache.settings, has_login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await self._answer(Request(scope))(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        token = self._settings.metrics_token
        if token is None and (self._settings.public or self._has_login):
            return PlainTextResponse("off: GENLAB_METRICS_TOKEN is not set\n", 404)
        if token is not None:
            scheme, _, value = request.headers.get("authorization", "").partition(" ")
            right = hmac.compare_digest(value.encode(), token.get_secret_value().encode())
            if scheme.lower() != "bearer" or not right:
                return PlainTextResponse("no access\n", 401, {"WWW-Authenticate": "Bearer"})
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("GET only\n", 405, {"Allow": "GET"})
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return Response(self._metrics.text(), media_type=kind)
