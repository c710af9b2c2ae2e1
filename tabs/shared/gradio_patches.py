"""Where the page reaches into Gradio beyond its public interface, all written for Gradio 6.31.

Look here first when Gradio is upgraded: each part says what it mends, and what happens without it.
"""

import errno
import html
import json
import logging
import re
import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio import blocks, networking, queueing, route_utils, routes, state_holder
from gradio.exceptions import InvalidPathError
from gradio.processing_utils import hash_bytes, save_bytes_to_cache
from gradio.route_utils import FnIndexInferError, upload_fn
from gradio.routes import App
from gradio.utils import get_upload_folder
from gradio_client.utils import is_file_obj, traverse
from markupsafe import Markup
from starlette.exceptions import HTTPException

from models.errors import InvalidInput, ModelError, RateLimited, Refused
from models.runtime.limits import PERSON, RETRY_SECONDS, person_of
from tabs.shared.events import PageError, sentence
from tabs.shared.strings import LANGUAGES, STRINGS, language_of_page

log = logging.getLogger("genlab")

_FULL = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
}  # no room on the disk, in the quota, for this file

# ---------------------------------------------------------------- two stops of one job at once


class _Iterators(dict[str, Any]):
    """Gradio's generators under way, by the event that each belongs to.

    Gradio (`cancel_event` in routes.py, `Queue.reset_iterators`) looks whether an event is in it,
    waits for a lock, closes the generator and deletes it. After a double click, or a stop and a page
    that is left at once, the second finds it gone and fails with a KeyError: a 500 for the page and
    a trace in the log.
    """

    def __delitem__(self, event: str) -> None:
        self.pop(event, None)


@asynccontextmanager
async def lifespan(app: App) -> AsyncGenerator[None]:
    """What the app does from its start to its end: delete its generators without fault."""
    app.iterators = _Iterators(app.iterators)
    queue = app.get_blocks()._queue
    queue.push = partial(_push, queue, queue.push)
    for module in (blocks, route_utils, state_holder):
        module.SessionState = Session  # pyright: ignore[reportAttributeAccessIssue]
    routes.upload_fn = _upload  # pyright: ignore[reportAttributeAccessIssue]
    for function in app.get_blocks().fns.values():
        # Gradio hides the name of a private one and answers to it all the same.
        if function.api_visibility == "private":
            function.api_name = None
    # Launch has had an answer of its own by then; this asks for the page once more and ends the app where that
    # takes over three seconds, as on a busy machine.
    networking.url_ok = lambda _: True
    routes.templates.env.filters["toorjson"] = _to_json
    for module in (queueing, routes, route_utils):
        module.traceback = _Traces()  # pyright: ignore[reportAttributeAccessIssue]
    yield


async def _push(
    queue: queueing.Queue,
    push: Callable[..., Any],
    body: Any,
    request: Any,
    username: str | None,
) -> Any:
    """Gradio's way into its queue, which says in English only, and not when to come back, that it is full.

    Raises:
        HTTPException: 429, with the sentence in the page's language: of a 503 the page shows words of its own.
    """
    if queue.max_size is not None and len(queue) >= queue.max_size:
        problem = RateLimited("too_many", seconds=RETRY_SECONDS)
        words = html.unescape(sentence(problem, language_of_page(request)))
        raise HTTPException(429, words, {"Retry-After": str(RETRY_SECONDS)})
    return await push(body=body, request=request, username=username)


# ---------------------------------------------------------------- sessions


class Session(state_holder.SessionState):
    """What Gradio holds of one visitor: states and changed components, but not what stands on the page.

    Gradio describes every component anew for each new session, and keeps what each shows now, for its deep
    links. On this page that took 105 ms of the event loop, in which nobody else was served, and kept people's
    texts and pictures in memory. Nobody reads it: the page has links of its own, and api/guard.py has no way to Gradio's.
    """

    def __init__(self, page: gr.Blocks) -> None:
        empty = SimpleNamespace(default_config=page.default_config, blocks={})
        super().__init__(empty)  # pyright: ignore[reportArgumentType]

    def __setitem__(self, key: int, value: Any) -> None:
        block = self.blocks_config.blocks.get(key)
        if isinstance(block, gr.State):
            self._state_ttl[key] = (block.time_to_live, datetime.now())
            self.state_data[key] = value
        else:
            self.blocks_config.blocks[key] = value

    def _update_config(self, key: int) -> None:
        """A component has changed."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """A component shows another value."""


# ---------------------------------------------------------------- calls


class PageBlocks(gr.Blocks):
    """The page, with calls that say whose they are, and faults that quote nobody.

    Gradio runs handlers in tasks of its queue's own, which know nothing of the request. What its own checks
    find wrong is {"error": null} for the caller, and a trace in the log with all that was sent, or a sentence in
    English only. An address in the place of a file it fetches.
    """

    async def process_api(self, *args: Any, **options: Any) -> dict[str, Any]:
        """Do a call; every fault is a sentence for the caller, and none is printed by Gradio."""
        try:
            return await super().process_api(*args, **options)
        except gr.Error as problem:
            problem.print_exception = False
            raise
        except ModelError as problem:
            raise PageError(problem, language_of_page(_first(options.get("request")))) from None
        except Exception as problem:
            log.exception("a handler failed")
            failure = ModelError("failed", kind=type(problem).__name__)
            raise PageError(failure, language_of_page(_first(options.get("request")))) from None

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *args: Any, **options: Any
    ) -> list[Any]:
        """Check what was sent.

        Raises:
            InvalidInput: too few values, values that do not fit, a file that was not uploaded here; a choice of
                before, where a new model's choices were on their way as the button was pressed.
        """
        try:
            traverse(inputs, _check_file, is_file_obj)
            return await super().preprocess_data(block_fn, inputs, *args, **options)
        except gr.Error as problem:
            if "is not in the list of choices" in str(problem):
                raise InvalidInput("invalid_call_choice") from None
            raise
        except ModelError:
            raise
        except InvalidPathError:
            raise InvalidInput("invalid_call_file") from None
        except Exception:
            raise InvalidInput("invalid_call") from None

    async def call_function(
        self,
        block_fn: Any,
        processed_input: list[Any],
        iterator: Any = None,
        requests: gr.Request | list[gr.Request] | None = None,
        *args: Any,
        **options: Any,
    ) -> dict[str, Any]:
        """Call a handler, whose jobs are counted as the visitor's (models/runtime/limits.py)."""
        request = _first(requests)
        if request is not None and request.client is not None:
            PERSON.set(person_of(request.client.host, request.username or None))
        return await super().call_function(
            block_fn, processed_input, iterator, requests, *args, **options
        )


def _first(requests: gr.Request | list[gr.Request] | None) -> gr.Request | None:
    return requests[0] if isinstance(requests, list) else requests


def _check_file(file: dict[str, Any]) -> dict[str, Any]:
    """Refuse an address; whether a path is that of an upload Gradio checks itself."""
    if "://" in str(file.get("path")):
        raise InvalidInput("invalid_call_file")
    return file


# What Gradio's routes raise, as a 500, where an endpoint, an event or a component is not there.
NOT_THERE = (FnIndexInferError, KeyError, IndexError)


class _Traces:
    """`traceback` for Gradio's modules: what they print of a fault goes into the log (api/privacy.py)."""

    def __getattr__(self, name: str) -> Any:
        return getattr(traceback, name)

    def print_exc(self, *_: Any, **__: Any) -> None:
        log.exception("Gradio failed")


# ---------------------------------------------------------------- files

# A page or a drawing that a browser would run, whatever its name says. What else a file is, is told by its
# content where it is read.
_MARKUP = re.compile(rb"\s*<(\?xml|!doctype|!--|html|head|body|svg|script|iframe|math)", re.I)
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")  # of UTF-8 and UTF-16
_START = 1024  # bytes of a file that are looked at


def is_markup(start: bytes) -> bool:
    """Whether a file that begins so is HTML, SVG or other XML, in UTF-8 or UTF-16."""
    for mark in _MARKS:
        start = start.removeprefix(mark)
    return _MARKUP.match(start.replace(b"\0", b"")) is not None


async def _upload(request: Any, *args: Any, **options: Any) -> Any:
    """Gradio's upload, which would take any file.

    Raises:
        HTTPException: 415, and nothing of the upload stays.
    """
    files, to_copy, places = await upload_fn(request, *args, **options)
    here = [*(path for path in files if path not in places), *to_copy]
    if any(map(_is_markup_file, here)):
        for path in here:
            Path(path).unlink(missing_ok=True)
        words = sentence(Refused("refused_file"), language_of_page(request))
        raise HTTPException(415, html.unescape(words))
    return files, to_copy, places


def _is_markup_file(path: str) -> bool:
    with open(path, "rb") as file:
        return is_markup(file.read(_START))


def save_to_cache(content: bytes, name: str) -> str:
    """Save a file where Gradio serves it from; returns its path.

    Its folder is named by a secret hash of the content, so that nobody else finds it, and is deleted
    with the page's cache. Gradio has no public function for a file that is in memory only.

    Raises:
        Refused: the disk is full (refused_full_disk); no half file stays, to be taken for whole later.
    """
    folder = get_upload_folder()
    try:
        return save_bytes_to_cache(content, name, folder)
    except OSError as problem:
        if problem.errno not in _FULL:
            raise
        half = Path(folder) / hash_bytes(content) / Path(name).name
        half.unlink(missing_ok=True)
        raise Refused("refused_full_disk") from None


# ---------------------------------------------------------------- what the page is made of

# Gradio's page wraps this description of itself in Svelte's proxies and looks through all events for each component,
# twice: half of the time until the page stood. Svelte wraps plain arrays only.
_UNWRAP = """;
(() => {
  class Unwrapped extends Array {}
  const { dependencies, components } = window.gradio_config;
  for (const list of [dependencies, components]) Object.setPrototypeOf(list, Unwrapped.prototype);
})()"""


def _to_json(value: Any) -> Markup:
    """What Gradio's template writes into its script."""
    script = routes.toorjson(value)
    is_page = isinstance(value, dict) and {"dependencies", "components"} <= value.keys()
    return script + Markup(_UNWRAP) if is_page else script


# ---------------------------------------------------------------- the language, changed in place

# Gradio takes its language from the browser when it starts and has no call to change it. Its own
# core module (its name has a hash) exports changeLocale; if that moves, the caller loads the page
# anew, and Gradio then reads `navigator.language`, which gives the page's language.
SCRIPT = """
<script>
window.genlab = {
  gradioLanguage: (language) => {
    Object.defineProperty(navigator, "language", { get: language, configurable: true });
    return {
      change: async () => {
        const core = performance.getEntriesByType("resource").map((e) => e.name)
          .find((url) => /\\/assets\\/core-[^/]*\\.js/.test(url));
        (await import(core)).changeLocale(language());
      },
    };
  },
};
</script>
"""


def relabel(labels: dict[str, list[str]], call: str) -> str:
    """JavaScript that calls window.genlab's `call` for a language and gives tabs their labels in it.

    Gradio translates all but the labels of tabs that were never opened.

    Args:
        labels: language -> the labels, in the order of the tabs that are the event's outputs.
        call: name of the function of window.genlab, which gives a language.
    """
    update = '{ __type__: "update", label }'
    return f"""async () => {{
      const lang = await window.genlab.{call}();
      return {json.dumps(labels, ensure_ascii=False)}[lang].map((label) => ({update}));
    }}"""


# ---------------------------------------------------------------- names in English only

# Buttons and fields that Gradio names in English in every language. The English strings of "gradio" are
# Gradio's own words; gradio_patches.js puts the Korean ones in their place.
_OWN_WORDS = {
    text: STRINGS["ko"][key] for key, text in STRINGS["en"].items() if key.startswith("gradio.")
}
# What Gradio says, in English only, while its server is gone; it then looks for it and loads the page anew.
_NO_CONNECTION = {language: STRINGS[language]["page.connection_lost"] for language in LANGUAGES}
WORDS = f"""<script>
window.genlab.gradioWords = {json.dumps(_OWN_WORDS)};
window.genlab.connectionLost = {json.dumps(_NO_CONNECTION)};
</script>
"""


# ---------------------------------------------------------------- the look

CSS = """
/* Gradio names its messages by their kind, in English only: its titles are not translated. */
html[lang=ko] .toast-title { font-size: 0 !important; }
html[lang=ko] .toast-title::before { font-size: 1rem; }
html[lang=ko] .toast-title.error::before { content: "안 됐어요"; }
html[lang=ko] .toast-title.warning::before { content: "주의하세요"; }
html[lang=ko] .toast-title.info::before { content: "알려 드려요"; }
html[lang=ko] .toast-title.success::before { content: "됐어요"; }
html[lang=ko] .toast-count { font-size: 1rem; }
/* A closed sidebar: its toggle would be a second "Models" button, its contents stops of the Tab key out of sight. */
.sidebar:not(.open) > * { visibility: hidden; }
/* The tab in use: Gradio's own colour falls below 4.5:1. */
button[role=tab][aria-selected=true] { color: var(--primary-700) !important; }
.dark button[role=tab][aria-selected=true] { color: var(--primary-300) !important; }
/* The label of a box lies over its contents, which must not show through, and ends before the buttons in the other corner. */
.block > label[data-testid=block-label] { background: var(--block-background-fill); max-width: calc(100% - 2.5rem); white-space: normal; }
/* A line between two links of the footer is left at its end by the link that is not there. */
footer > .divider:last-child, footer > .divider:nth-last-child(1 of :not(.hidden)) { display: none; }
/* A column of boxes that are all hidden keeps its gap. */
.form:not(:has(> .block)) { display: none; }
/* The arrow of a closed section keeps away from a long title. */
.label-wrap { gap: .75rem; text-align: start; } .label-wrap > .icon { flex: none; }
/* Room for a label of two lines over the arrow of an upload box. */
.drop button:not(.icon-button) { padding-top: 3.25rem !important; }
/* An empty gr.HTML keeps its gap. */
.block:has(> .html-container > .prose:empty) { display: none; }
/* A gallery of several pictures scrolls in a box of its own. */
#text_to_image-result .grid-wrap { max-height: none; overflow: visible; }
"""
