"""Pieces that every tab has, in the same words and places."""

import html
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import gradio as gr

from models.contract import ModelSpec
from models.tasks import Task
from models.text.language import language_of
from tabs.shared.context import Context
from tabs.shared.events import line
from tabs.shared.strings import LANGUAGES, both, phrases_html, spans, t


def inner_tabs(context: Context, tab: str, parts: Mapping[str, Callable[[Context], None]]) -> None:
    """The parts of a task's tab, each a tab in it; the label of one is the string "{tab}.{part}.tab"."""
    with gr.Tabs(elem_id=f"{tab}-parts", overflow_behavior="wrap"):
        for part, build in parts.items():
            name = f"{tab}.{part}"
            inner = gr.Tab(t(f"{name}.tab"), id=name, elem_id=f"tab-{tab}-{part}")
            context.inner_tabs[name] = inner
            with inner:
                build(context)


# Only the unmistakable marks: "$5 and $6" is money.
LATEX = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]


def model_picker(
    context: Context,
    task: Task,
    elem_id: str,
    without: Set[str] = frozenset(),
    label: Any = None,
    info: bool = True,
) -> gr.Dropdown:
    """The choice of a model: "auto", the catalogue's but those in `without`, or any hub id typed in."""
    return gr.Dropdown(
        label=label or t("page.model"),
        info=t("page.model_info") if info else None,
        choices=[
            (t("page.auto"), "auto"),
            *(c for c in context.offered(task) if c[1] not in without),
        ],
        value="auto",
        allow_custom_value=True,
        elem_id=elem_id,
    )


def updates(names: Sequence[str], **changes: Any) -> tuple[Any, ...]:
    """An update of a handler's outputs: those in `changes`, the others as they are.

    Args:
        names: of all outputs, in order.
        **changes: name of an output -> its new value or gr.update.
    """
    return tuple(changes.get(name, gr.skip()) for name in names)


def model_line(spec: ModelSpec, with_size: bool = True) -> str:
    """What a model is, under which licence and how big it is, as a line of HTML."""
    note = spans({language: html.escape(text) for language, text in spec.note.items()})
    size = f"{spec.size_gb:g} GB" if spec.size_gb and with_size else ""
    parts = [phrases_html(spec.label), note, phrases_html(spec.licence), size]
    return line(" · ".join(filter(None, parts)))


def model_note(spec: ModelSpec) -> str:
    """What the model behind a result is, was trained on and cannot do, as a line of HTML."""
    note = {language: html.escape(text) for language, text in spec.note.items()}
    text = spans(note) if note else both("page.unknown_model")
    return f'<p class="quiet">{phrases_html(spec.label)}: {text}</p>'


def stop_button(tab: str) -> gr.Button:
    """The button that ends the work, not just its display."""
    return gr.Button(t("page.stop"), elem_id=f"{tab}-stop", elem_classes="stop-button")


def bind_stop(stop: gr.Button, events: Sequence[Any], status: gr.HTML, text: str) -> Any:
    """Let a stop button end events and then say so in the status line.

    The line comes in a second event: sent with the first, it could be lost with the stream that ends.

    Args:
        stop: the button.
        events: what it cancels, as their binding returned them.
        status: where `text` appears.
        text: HTML.

    Returns:
        What more can be done after it (`.then`).
    """
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    end = stop.click(None, cancels=list(events), **private)
    return end.then(lambda: text, None, status, **private)


def examples_box(
    tab: str,
    samples: Sequence[Sequence[Any]],
    inputs: Sequence[gr.components.Component],
    start: str,
    titles: Sequence[str] | None = None,
) -> None:
    """Examples, those in the page's language first; a click fills the inputs and presses the start button.

    Pressing the button (not running its handler a second way) keeps one run at a time on the page.

    Args:
        tab: the tab's name.
        samples: values of the inputs, a sequence an example; a function is called for its value.
        inputs: what they are filled into.
        start: elem_id of the start button.
        titles: what is shown of each example; by default its first value.
    """
    shown = titles or [str(sample[0]) for sample in samples]
    with gr.Column(elem_id=f"{tab}-examples", elem_classes="examples"):
        gr.Markdown(t("page.examples"), elem_classes="examples-title")
        for language in LANGUAGES:
            own = [at for at, title in enumerate(shown) if language_of(title) == language]
            if own:
                box = gr.Dataset(
                    label=t("page.examples"),
                    show_label=False,
                    components=[gr.Textbox(visible=False)],
                    samples=[[shown[at]] for at in own],
                    type="index",
                    elem_classes=f"examples-{language}",
                )
                _bind_examples(box, [samples[at] for at in own], inputs, start)


def _bind_examples(
    box: gr.Dataset,
    samples: Sequence[Sequence[Any]],
    inputs: Sequence[gr.components.Component],
    start: str,
) -> None:
    def fill(index: int) -> Any:
        sample = [value() if callable(value) else value for value in samples[index]]
        return tuple(sample) if len(inputs) > 1 else sample[0]

    fill_in = box.click(fill, box, list(inputs), api_visibility="private", show_progress="hidden")
    fill_in.then(None, js=f"() => {{ document.getElementById('{start}').click(); }}")


def result_box(tab: str, empty: str) -> tuple[gr.HTML, gr.HTML]:
    """Where a result goes, and the line under it.

    Args:
        tab: prefix of the elem_ids.
        empty: what stands there until there is a result, as HTML.
    """
    result = gr.HTML(empty, container=True, padding=True, min_height=120, elem_id=f"{tab}-result")
    return result, gr.HTML(elem_id=f"{tab}-status")


def recipe_box(tab: str) -> gr.Code:
    """The folded Python behind the result."""
    with gr.Accordion(t("page.python"), open=False, elem_id=f"{tab}-python"):
        return gr.Code(language="python", label=t("page.python_info"), elem_id=f"{tab}-recipe")


def how_it_works(tab: str) -> None:
    """The folded few sentences on the principle at work."""
    with gr.Accordion(t("page.how"), open=False, elem_id=f"{tab}-how"):
        gr.Markdown(t(f"{tab}.how"))


def problem_box(tab: str) -> gr.HTML:
    """Where a problem stands in words, right under the field it is about; for events.at_field."""
    return gr.HTML(padding=False, elem_id=f"{tab}-problem", elem_classes="problem")
