"""A person's own vectors: kept for their session, saved and loaded as files that hold no code."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import gradio as gr

from models.word_vectors.events import WordTable
from models.word_vectors.files import SUFFIXES, read, write
from tabs.shared.events import line, show_errors
from tabs.shared.gradio_patches import save_to_cache
from tabs.shared.strings import both, t

TAB = "word2vec"
KEPT = 3600  # seconds that vectors are kept after their visitor has left
FORMATS = {"text": "vectors.txt", "safetensors": "vectors.safetensors"}


def state() -> gr.State:
    """The vectors that a visitor has trained or loaded; None at first."""
    return gr.State(None, time_to_live=KEPT)


def saved(table: WordTable | None) -> list[Any]:
    """Updates of the save buttons: each holds its file, and shows once there are vectors.

    The folder of each file is named by a secret hash of its content and deleted with the page's cache.
    """
    if table is None:
        return [gr.update(visible=False) for _ in FORMATS]
    updates: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in FORMATS.values():
            path = Path(folder) / name
            write(table, path)
            kept = save_to_cache(path.read_bytes(), name)
            updates.append(gr.update(value=kept, visible=True))
    return updates


def save_buttons() -> list[gr.DownloadButton]:
    """A button a format, hidden until there are vectors."""
    return [
        gr.DownloadButton(
            cast(str, t(f"{TAB}.save_{name}")), visible=False, size="sm", elem_id=f"{TAB}-{name}"
        )
        for name in FORMATS
    ]


def load_button(own: gr.State, status: gr.HTML, files: Sequence[gr.DownloadButton]) -> None:
    """A button that takes a file of vectors into the session and says what it held.

    Args:
        own: where they are kept.
        status: where it is said.
        files: the save buttons, which then hold these vectors.
    """
    button = gr.UploadButton(
        cast(str, t(f"{TAB}.load")), file_types=list(SUFFIXES), size="sm", elem_id=f"{TAB}-load"
    )

    def load(path: str, request: gr.Request) -> tuple[WordTable, str]:
        with show_errors(request):
            table = read(Path(path))
        words, size = table.vectors.shape
        return table, line(both(f"{TAB}.loaded", words=f"{words:,}", size=size))

    private: dict[str, Any] = {"api_visibility": "private"}
    loaded = button.upload(load, button, [own, status], **private)
    loaded.success(saved, own, list(files), **private)
