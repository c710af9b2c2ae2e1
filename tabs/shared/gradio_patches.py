"""Where the page reaches into Gradio beyond its public interface, all written for Gradio 6.31.

Look here first when Gradio is upgraded: each part says what it mends, and what happens without it.
"""

import errno
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gradio.processing_utils import hash_bytes, save_bytes_to_cache
from gradio.routes import App
from gradio.utils import get_upload_folder

from models.errors import Refused
from tabs.shared.strings import STRINGS

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
    yield


# ---------------------------------------------------------------- files


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
WORDS = f"<script>window.genlab.gradioWords = {json.dumps(_OWN_WORDS)};</script>\n"


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
