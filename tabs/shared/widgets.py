"""Pieces that every tab has, in the same words and places."""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from typing import Any, Self

import gradio as gr
from gradio.route_utils import get_root_url

from models import serving, tasks
from models.contract import ModelSpec, Placement, Request
from models.errors import InvalidInput
from models.serving import HttpCall, Say
from models.tasks import Task
from models.text.language import language_of
from tabs.shared.context import Context
from tabs.shared.events import line
from tabs.shared.strings import LANGUAGES, both, language_of_page, phrases_html, say, spans, t


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
            *(c for c in context.model_choices(task) if c[1] not in without),
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


def one_at_a_time(triggers: Sequence[Any], start: str, stop: str, **job: Any) -> Any:
    """Bind a run of which there is one at a time on the page.

    Pressed by hand meanwhile, its button does nothing. An example or an experiment takes the place of the
    run that is on its way (experiments.js), once that and its stop's work have ended: see begin_next.

    Args:
        triggers: what begins it.
        start: elem_id of the button that examples and experiments press.
        stop: elem_id of the button that ends the run.
        **job: of gr.on.

    Returns:
        The event.
    """
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    call = "() => window.genlab.experiments"
    gr.on(list(triggers), None, js=f"{call}.atBegin('{start}', '{stop}')", **quiet)
    event = gr.on(list(triggers), trigger_mode="once", **job, **quiet)
    for end in (event.then, event.failure):  # Gradio runs the first after a success or a stop only
        end(None, js=f"{call}.atEnd('{start}')", **quiet)
    return event


def begin_next(stopping: Any, start: str) -> None:
    """Let what takes the place of a run begin after the stop that ended the run.

    Args:
        stopping: the last event of the stop button.
        start: as of one_at_a_time.
    """
    js = f"() => window.genlab.experiments.atStop('{start}')"
    stopping.then(None, js=js, api_visibility="private", show_progress="hidden")


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
    labels = titles or [str(sample[0]) for sample in samples]
    with gr.Column(elem_id=f"{tab}-examples", elem_classes="examples"):
        gr.Markdown(t("page.examples"), elem_classes="examples-title")
        for language in LANGUAGES:
            own = [at for at, title in enumerate(labels) if language_of(title) == language]
            if own:
                box = gr.Dataset(
                    label=t("page.examples"),
                    show_label=False,
                    components=[gr.Textbox(visible=False)],
                    samples=[[labels[at]] for at in own],
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
    def fill(index: object) -> Any:  # of a program's call it may be anything
        if not isinstance(index, int) or not 0 <= index < len(samples):
            raise InvalidInput("invalid_call")
        sample = [value() if callable(value) else value for value in samples[index]]
        return tuple(sample) if len(inputs) > 1 else sample[0]

    # By default a click is lost that comes when the one before has filled the inputs, but is not yet done.
    mode: Any = {
        "trigger_mode": "always_last",
        "api_visibility": "private",
        "show_progress": "hidden",
    }
    fill_in = box.click(fill, box, list(inputs), **mode)
    fill_in.then(None, js=f"() => window.genlab.experiments.begin('{start}')")


def result_box(tab: str, empty: str) -> tuple[gr.HTML, gr.HTML]:
    """Where a result goes, and the line under it.

    Args:
        tab: prefix of the elem_ids.
        empty: what stands there until there is a result, as HTML.
    """
    result = gr.HTML(empty, container=True, padding=True, min_height=120, elem_id=f"{tab}-result")
    return result, gr.HTML(elem_id=f"{tab}-status")


# ---------------------------------------------------------------- the code behind a result


class Script(str):
    """The Python behind a result, and the same as requests over HTTP.

    Attributes:
        calls: language of the page -> the requests, with comments in it.
    """

    calls: Mapping[str, tuple[HttpCall, ...]]

    def __new__(cls, python: str, calls: Mapping[str, tuple[HttpCall, ...]] | None = None) -> Self:
        """The Python alone, or with the rest."""
        script = super().__new__(cls, python)
        script.calls = calls or dict.fromkeys(LANGUAGES, ())
        return script

    @classmethod
    def of(cls, python: str, call: Callable[[Say], HttpCall | None]) -> Self:
        """The Python, and the request that `call` makes with the comments of a language."""
        calls = {language: call(partial(_comment, language)) for language in LANGUAGES}
        return cls(python, {language: (one,) if one else () for language, one in calls.items()})

    @classmethod
    def of_several(cls, python: str, scripts: Iterable[str]) -> Self:
        """Python made of several scripts, with the requests of all of them in their order."""
        parts = [script for script in scripts if isinstance(script, Script)]
        return cls(
            python,
            {one: tuple(call for part in parts for call in part.calls[one]) for one in LANGUAGES},
        )


def _comment(language: str, name: str) -> str:
    return say(f"serve.comment.{name}", language)


def recipe(spec: ModelSpec, request: Request, placement: Placement) -> Script:
    """The code behind a result, for the output of recipe_box; arguments as of models.tasks.recipe."""
    python = tasks.recipe(spec, request, placement)
    return Script.of(python, lambda comment: tasks.call(spec, request, placement, comment))


def recipe_box(tab: str) -> gr.State:
    """The folded code behind the result: as Python, as a request over HTTP, as a server of one's own.

    Returns:
        The output that a handler gives a Script, or Python alone as a str; "" for none.
    """
    script = gr.State("")
    with gr.Accordion(t("page.python"), open=False, elem_id=f"{tab}-python"):
        form = gr.Radio(
            [(t("serve.python"), "python")],
            value="python",
            label=t("serve.form"),
            visible=False,
            elem_id=f"{tab}-form",
            elem_classes="code-form",
        )
        code = gr.Code(language="python", label=t("page.python_info"), elem_id=f"{tab}-recipe")
    quick: dict[str, Any] = {
        "queue": False,
        "api_visibility": "private",
        "show_progress": "hidden",
    }
    gr.on([script.change, form.input], _show_code, [script, form], [form, code], **quick)
    return script


def _show_code(script: str, form: str, page: gr.Request) -> tuple[Any, Any]:
    """The choice of forms that there are of a script, and the code in the one that is chosen."""
    language = language_of_page(page)
    calls = script.calls[language] if isinstance(script, Script) else ()
    there = serving.forms(calls)
    form = form if form in there else "python"
    if form == "python":
        text, info = str(script), "page.python_info"
    else:
        place = serving.Place(address_of(page), key=page.username is not None)
        text = serving.text(form, calls, place, partial(_comment, language))
        info = f"serve.{form}_info"
    choices = [(t(f"serve.{one}"), one) for one in ("python", *there)]
    return (
        gr.update(choices=choices, value=form, visible=bool(there)),
        gr.update(value=text, language="shell" if form == "curl" else "python", label=t(info)),
    )


def address_of(page: gr.Request) -> str:
    """Where the visitor's browser finds this GenLab, behind a proxy and under its path too."""
    request: Any = page.request
    root = request.scope.get("root_path", "")
    return get_root_url(request, request.url.path, root)


def how_it_works(tab: str) -> None:
    """The folded few sentences on the principle at work."""
    with gr.Accordion(t("page.how"), open=False, elem_id=f"{tab}-how"):
        gr.Markdown(t(f"{tab}.how"))


def problem_box(tab: str) -> gr.HTML:
    """Where a problem stands in words, right under the field it is about; for events.at_field."""
    return gr.HTML(padding=False, elem_id=f"{tab}-problem", elem_classes="problem")
