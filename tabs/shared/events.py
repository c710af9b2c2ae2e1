"""The one bridge between models and the page: events -> HTML lines, ModelError -> PageError."""

import html
import inspect
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from typing import Any, cast, get_type_hints

import gradio as gr

from models.contract import (
    Downloading,
    Event,
    Finished,
    Loading,
    ModelSpec,
    Placement,
    Request,
    Waiting,
    WarmingUp,
    Working,
)
from models.errors import ModelError
from models.runtime.jobs import run
from tabs.shared.context import Context
from tabs.shared.strings import (
    LANGUAGES,
    STRINGS,
    both,
    language_of_page,
    phrases,
    phrases_html,
    say,
    spans,
)


def sentence(problem: ModelError, language: str) -> str:
    """What happened and what to do, in one sentence of a language, as HTML."""
    key = f"errors.{problem.code}"
    params = {
        k: v if isinstance(v, int | float) else html.escape(str(v))
        for k, v in problem.params.items()
    }
    if isinstance(limit := params.get("limit"), int) and limit >= 10_000:
        params["limit"] = f"{limit:,}"
    if "field" in params:
        name = f"fields.{params['field']}"
        params["field"] = STRINGS[language].get(name, params["field"])
    return say(key if key in STRINGS[language] else "errors.failed", language, **params)


class PageError(gr.Error):
    """A ModelError on its way to the page: its sentence in the visitor's language.

    Attributes:
        line: the sentence as HTML in both languages, for the place at the field.
    """

    def __init__(self, problem: ModelError, language: str) -> None:
        title = say("errors.title", language)
        super().__init__(sentence(problem, language), title=title, print_exception=False)
        self.line = alert(problem)


def at_field(
    handler: Callable[..., Any], problem: gr.HTML, *, clear: bool = True
) -> Callable[..., Generator[Any]]:
    """A handler whose problems stand at the field, in words, until the next run; results stay as they are.

    Without it a problem is a message that vanishes, and Gradio writes "Error" over every output.
    Bind it with one output more: `outputs=[*outputs, problem]`. The event then counts as a success
    (`.success` runs, `.failure` does not).

    Args:
        handler: a generator or a function, which may raise what show_errors raises.
        problem: from widgets.problem_box.
        clear: whether a run takes the problem of the run before away; not what only follows on another run.
    """

    def run(*args: Any) -> Generator[Any]:
        if clear:
            yield {problem: ""}
        try:
            if not inspect.isgeneratorfunction(handler):
                yield _with_skip(handler(*args))
                return
            with closing(handler(*args)) as results:
                for result in results:
                    yield _with_skip(result)
        except PageError as stop:
            yield {problem: stop.line}
        except ModelError as stop:  # of the page's own work, after the job: no room for its files
            yield {problem: alert(stop)}

    # Gradio gives the request to whoever names it in its signature.
    run.__signature__ = inspect.signature(handler)  # pyright: ignore[reportFunctionMemberAccess]
    run.__annotations__ = get_type_hints(handler)
    return run


def _with_skip(result: Any) -> Any:
    """The outputs of a handler, and the problem's place as it is."""
    if isinstance(result, dict):
        return cast(Any, result)
    if isinstance(result, tuple | list):
        return (*cast(Sequence[Any], result), gr.skip())
    return (result, gr.skip())


def problem_line(problem: ModelError) -> str:
    """The one sentence for a problem as HTML in both languages, where the rest of a result stays.

    A server's own words are folded behind it.
    """
    words = spans({language: sentence(problem, language) for language in LANGUAGES})
    if problem.server_sentence:
        quote = html.escape(problem.server_sentence)
        title = both("result.server_said")
        words += f'<details class="server-said"><summary>{title}</summary><q>{quote}</q></details>'
    return words


def alert(problem: ModelError) -> str:
    """The sentence for a problem as a message, in HTML. It stays where the problem arose until the next try."""
    return f'<div class="problem-line" role="alert">{problem_line(problem)}</div>'


@contextmanager
def show_errors(request: gr.Request | None) -> Generator[None]:
    """In the with block a ModelError becomes a PageError in the visitor's language."""
    try:
        yield
    except ModelError as problem:
        raise PageError(problem, language_of_page(request)) from None


def follow(
    context: Context, spec: ModelSpec, request: Request, visitor: gr.Request | None
) -> Generator[Event]:
    """Run a job and yield its events; problems become gr.Error. Closing it stops the job.

    Gradio can close a generator only where it yields, and holds a lock of the whole app until it has.
    So a handler yields at least every half second, at each Working, if only skips. But each yield
    costs some 7 ms: what comes often is shown when a Pace says so.

    Args:
        context: whose models.
        spec: the model.
        request: what to do.
        visitor: in whose language errors are shown.
    """
    with show_errors(visitor), closing(run(context.cache, spec, request)) as events:
        yield from events


class Pace:
    """When the page gets its next update from events that come often."""

    def __init__(self, seconds: float = 0.1) -> None:
        """At most one update in so many seconds."""
        self._seconds = seconds
        self._last: float | None = None
        self.updates = 0  # how many there were

    def due(self) -> bool:
        """Whether it is time for an update, which is then counted; it always is for the first."""
        now = time.perf_counter()
        if self._last is not None and now - self._last < self._seconds:
            return False
        self._last = now
        self.updates += 1
        return True


def waiting_line(event: Event, seconds: float = 0) -> str | None:
    """One line of HTML on what is being waited for; None for events that bring a result."""
    match event:
        case Working(seconds, during) if during is not None:
            return waiting_line(during, seconds)
        case Working(seconds):
            return line(both("wait.work", seconds=f"{seconds:.0f}"))
        case Waiting(position):
            return line(both("wait.queue", position=position))
        case Downloading(done, total):
            return line(both("wait.download", done=_size(done), total=_size(total)))
        case Loading(spec):
            return line(both("wait.load", model=phrases(spec.label), seconds=f"{seconds:.0f}"))
        case WarmingUp(spec):
            return line(both("wait.warm", model=phrases(spec.label), seconds=f"{seconds:.0f}"))
        case _:
            return None


def result_line(finish: Finished, *more: str) -> str:
    """Model, device, time (and load time if it was loaded for this); `more` is HTML already."""
    parts = [phrases_html(finish.spec.label), device(finish.placement)]
    parts.append(both("result.seconds", seconds=f"{finish.seconds:.2f}"))
    if finish.load_seconds:
        parts.append(both("result.loaded", seconds=f"{finish.load_seconds:.1f}"))
    return line(" · ".join([*parts, *more]))


def device(placement: Placement) -> str:
    """Device and dtype, with the reason as a tooltip, as HTML."""
    what = " ".join(filter(None, (placement.device.upper(), placement.dtype)))
    if placement.device == "server":
        return both("reasons.hosted")
    why = " / ".join(html.escape(say(f"reasons.{placement.reason}", lang)) for lang in LANGUAGES)
    return f'<span title="{why}">{html.escape(what)}</span>'


def line(content: str) -> str:
    """A line under a result."""
    return f'<p class="result-line" role="status">{content}</p>'


def _size(nbytes: int) -> str:
    return f"{nbytes / 1e9:.2f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:.0f} MB"
