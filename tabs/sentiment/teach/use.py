"""Using what was taught: try a sentence, choose what is saved, load a saved classifier."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import gradio as gr

from models.errors import InvalidInput
from models.teach.events import Classified
from models.teach.header import header
from models.teach.requests import ClassifyRequest
from models.teach.select import encoder_of
from tabs.sentiment.teach import result_html as show
from tabs.sentiment.teach.view import HEAD, View, frame, saved
from tabs.shared.context import Context
from tabs.shared.events import follow, show_errors, waiting_line
from tabs.shared.widgets import bars


def bind_use(
    context: Context,
    view: View,
    sentence: gr.Textbox,
    use: gr.Button,
    said: gr.HTML,
    load: gr.UploadButton,
) -> None:
    """Bind trying a sentence, choosing what is saved, and loading a saved classifier."""

    def classify(
        request: gr.Request, text: str, which: str, made: dict[str, bytes]
    ) -> Generator[Any]:
        with show_errors(request):
            content = made.get(which) or next(iter(made.values()), None)
            if content is None:
                raise InvalidInput("teach_nothing")
            ask = ClassifyRequest.of(classifier=content, texts=[text])
            spec = encoder_of(content)
        for event in follow(context, spec, ask, request):
            if isinstance(event, Classified):
                rows = zip(event.labels, event.probabilities[0], strict=True)
                yield bars([(show.name(label), p) for label, p in sorted(rows, key=_likeliest)])
            else:
                yield waiting_line(event) or gr.skip()

    def choose(which: str, made: dict[str, bytes]) -> Any:
        return gr.update(value=saved(made[which], which)) if which in made else gr.skip()

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    inputs = [sentence, view.which, view.made]
    gr.on([use.click, sentence.submit], classify, inputs, said, **private)
    view.which.change(choose, [view.which, view.made], view.save, **private)
    load.upload(_loaded, load, list(view), **private)


def _loaded(request: gr.Request, path: str) -> tuple[Any, ...]:
    """The view with a saved classifier in it."""
    with show_errors(request):
        content = Path(path).read_bytes()
        spec = encoder_of(content)
        labels = header(content).labels
    return frame(
        result=show.loaded(labels, spec.label),
        which=gr.update(visible=False, value=HEAD),
        curve=gr.update(visible=False),
        save=gr.update(visible=False),
        made={HEAD: content},
        status="",
        code="",
    )


def _likeliest(row: tuple[str, float]) -> float:
    return -row[1]
