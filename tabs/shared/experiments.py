"""Experiments: three a tab, one click each, and every setting of a tab as a link.

A link holds the controls themselves in the part of the address behind "#", which browsers do not even
send: `#chat?prompt=Hello&temperature=0`. Opening it sets the controls and runs nothing. The same way
brings the controls back after a reload, from the browser tab's own storage. experiments.js is the part
of it that lives in the browser.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import gradio as gr

from models.errors import InvalidInput
from tabs.shared.events import problem_line
from tabs.shared.strings import both, language_of_page, t

MAX_LINK = 2000  # characters
MAX_TEXT = 200_000  # characters of all controls, when a page is loaded again
_QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
Value = Any  # of a control


@dataclass(frozen=True, slots=True)
class Experiment:
    """What one click sets and runs.

    Its question is the string "{tab}.try.{name}", and where to look for the answer "{tab}.try.{name}_look".

    Attributes:
        name: within the tab.
        values: of controls, by name; a dict {"en": ..., "ko": ...} for what depends on the language. The
            other controls go back to what they are on a fresh page.
        look: elem_id of the part of the page that answers the question.
        start: elem_id of another button than the tab's.
    """

    name: str
    values: Mapping[str, Value]
    look: str = ""
    start: str = ""


@dataclass(slots=True)
class Experiments:
    """The box "Try this" of a tab, laid out where it is made.

    Attributes:
        tab: its name, or that of an inner tab ("sentiment.teach"): the address begins with it.
        controls: what an experiment sets and a link holds, by the names used there. No key.
        start: elem_id of the button that runs the tab.
        experiments: the experiments, the first of which is shown to a first visitor.
        follow: what else the page has to change for values, the limits of a dial for instance: a function
            from all values to updates by component. It runs before the values are checked, which then
            holds them against the limits in its updates. Components that are not controls go to `outputs`.
        outputs: those of `follow` that are no controls.
    """

    tab: str
    controls: Mapping[str, gr.components.Component]
    start: str
    experiments: Sequence[Experiment] = ()
    follow: Callable[[dict[str, Value]], dict[Any, Any]] | None = None
    outputs: Sequence[gr.components.Component] = ()
    note: gr.HTML = field(init=False)

    def __post_init__(self) -> None:
        """Lay the box out and bind it.

        Raises:
            ValueError: a control holds a secret.
        """
        if any(getattr(control, "type", "") == "password" for control in self.controls.values()):
            raise ValueError("a key never goes into a link")
        with gr.Column(elem_id=f"{self._id}-try", elem_classes="try-this"):
            if self.experiments:
                gr.HTML(self._tour(), padding=False)
            with gr.Row(elem_classes="try-head"):
                gr.Markdown(
                    t("try.title"), elem_classes="try-title", visible=bool(self.experiments)
                )
                copy = gr.Button(t("try.copy"), size="sm", elem_id=f"{self._id}-copy-link")
            buttons = [self._button(one) for one in self.experiments]
            self.note = gr.HTML(
                padding=False, elem_id=f"{self._id}-try-note", elem_classes="try-note"
            )
            opener = gr.Button(visible="hidden", elem_id=f"{self._id}-open")
            payload = gr.Textbox(visible=False)
        outputs = [*self.controls.values(), *self.outputs, self.note]
        for one, button in zip(self.experiments, buttons, strict=True):
            ready = button.click(self._setter(one), None, outputs, **_QUIET)
            arguments = json.dumps([one.start or self.start, one.look or "", self._id])
            ready.then(None, js=f"() => window.genlab.experiments.run(...{arguments})", **_QUIET)
        opening = opener.click(
            self._open,
            payload,
            outputs,
            js=f"() => window.genlab.experiments.payload({json.dumps(self._id)})",
            **_QUIET,
        )
        link_note = f"() => window.genlab.experiments.linkNote({json.dumps(self._id)})"
        opening.then(None, js=link_note, **_QUIET)
        controls = [*self.controls.values()]
        about = json.dumps([self.tab, [*self.controls], self._defaults()], ensure_ascii=False)
        words = json.dumps({k: both(f"try.{k}") for k in ("copied", "left_out")})
        copy.click(
            None,
            controls,
            self.note,
            js=f"(...values) => window.genlab.experiments.copy({about}, {words}, {MAX_LINK}, values)",
            **_QUIET,
        )
        gr.on(
            [control.change for control in controls],  # pyright: ignore[reportAttributeAccessIssue]
            None,
            controls,
            None,
            js=f"(...values) => window.genlab.experiments.store({about}, values)",
            **_QUIET,
        )

    def after(self, event: Any) -> None:
        """Tell the guided experiment when a run is over.

        Args:
            event: what binding the tab's run returned.
        """
        names = f"{json.dumps(self._id)}, {json.dumps(self.tab)}"
        event.then(None, js=f"() => window.genlab.experiments.done({names})", **_QUIET)

    @property
    def _id(self) -> str:
        """What elem_ids begin with."""
        return self.tab.replace(".", "-")

    def _button(self, one: Experiment) -> gr.Button:
        return gr.Button(
            t(f"{self.tab}.try.{one.name}"),
            size="sm",
            elem_id=f"{self._id}-try-{one.name}",
            elem_classes="experiment",
        )

    def _defaults(self) -> dict[str, Value]:
        return {name: control.value for name, control in self.controls.items()}  # pyright: ignore

    def _setter(self, one: Experiment) -> Callable[[gr.Request], dict[Any, Any]]:
        """The handler that gives the updates of an experiment."""
        look = both(f"{self.tab}.try.{one.name}_look")

        def handler(request: gr.Request) -> dict[Any, Any]:
            language = language_of_page(request)
            values = self._defaults()
            for name, value in one.values.items():
                values[name] = value[language] if isinstance(value, Mapping) else value
            return self._updates(values) | {self.note: f"<p>{look}</p>"}

        return handler

    def _updates(self, values: dict[str, Value]) -> dict[Any, Any]:
        changes = self.follow(values) if self.follow else {}
        for name, value in values.items():
            control = self.controls[name]
            more: dict[str, Any] = changes.get(control) or {}
            changes[control] = gr.update(**{**more, "value": value})
        return changes

    def _open(self, payload: str) -> dict[Any, Any]:
        """The updates for a link, or for what the browser tab stored. Wrong values are left out, with a message.

        Args:
            payload: JSON {"values": {name: text}, "link": whether it came by a link}.
        """
        try:
            content = json.loads(payload[: MAX_TEXT + 1])
            texts = cast(dict[str, str], dict(content["values"]))
            link = bool(content["link"])
        except (ValueError, TypeError, KeyError):
            return {self.note: f"<p>{both('try.broken')}</p>"}
        lines = [both("try.opened")] if link else []
        values = self._defaults()
        problems: list[InvalidInput] = []
        for name, text in texts.items():
            if name not in self.controls:
                lines.append(both("try.unknown", name=name[:40]))
                continue
            try:
                values[name] = parse(name, self.controls[name], text)
            except InvalidInput as problem:
                problems.append(problem)
        changes = self.follow(values) if self.follow else {}
        for name in texts.keys() & self.controls.keys():
            limits: dict[str, Any] = changes.get(self.controls[name]) or {}
            try:
                check(name, self.controls[name], values[name], limits)
            except InvalidInput as problem:
                problems.append(problem)
                values[name] = limits.get("value", self._defaults()[name])
        lines += [f"{problem_line(problem)} {both('try.ignored')}" for problem in problems]
        note = "".join(f"<p>{line}</p>" for line in lines)
        return self._updates(values) | {self.note: note}

    def _tour(self) -> str:
        """The guided first experiment, in steps of which experiments.js shows one."""
        first = self.experiments[0]
        question = both(f"{self.tab}.try.{first.name}")
        look = both(f"{self.tab}.try.{first.name}_look")

        def step(number: int, text: str) -> str:
            return f'<p data-for="{number}">{text}</p>'

        def button(number: str, call: str, key: str, kind: str = "") -> str:
            return (
                f'<button type="button" class="{kind}" data-for="{number}" data-tour="{call}">'
                f"{both(f'try.{key}')}</button>"
            )

        return (
            f'<div class="tour" data-step="0" data-first="{self._id}-try-{first.name}" '
            f'data-look="{first.look}" role="group" aria-live="polite">'
            + step(0, both("try.offer"))
            + step(1, f"<b>{question}</b><br>{both('try.running')}")
            + step(2, f"<b>{question}</b><br>{look}")
            + step(3, both("try.yours"))
            + button("0", "begin", "begin", "go")
            + button("0", "leave", "later")
            + button("2", "next", "next", "go")
            + button("3", "leave", "finish", "go")
            + button("1", "leave", "leave")
            + button("2", "leave", "leave")
            + "</div>"
        )


# ---------------------------------------------------------------- values of an address


def parse(name: str, control: gr.components.Component, text: object) -> Value:
    """A control's value from an address.

    Args:
        name: of the control, for the message.
        control: it says which type its value has.
        text: as experiments.js writes it: text itself, numbers as digits, lists as JSON.

    Raises:
        InvalidInput: it is no value of this control.
    """
    if not isinstance(text, str):
        raise InvalidInput("invalid_not_text", field=name)
    match control:
        case gr.Slider() | gr.Number():
            try:
                number = float(text)
            except ValueError:
                raise InvalidInput("invalid_not_a_number", field=name) from None
            if not math.isfinite(number):
                raise InvalidInput("invalid_not_a_number", field=name)
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
        case gr.Checkbox():
            if text not in ("true", "false"):
                raise InvalidInput(field=name)
            return text == "true"
        case gr.Dropdown(multiselect=True) | gr.CheckboxGroup():
            try:
                items = json.loads(text)
            except ValueError:
                items = None
            if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
                raise InvalidInput(field=name)
            return cast(list[str], items)
        case _:
            return text


def check(
    name: str, control: gr.components.Component, value: Value, now: Mapping[str, Any]
) -> None:
    """Check a value against a control's limits and choices.

    Args:
        name: of the control, for the message.
        control: as it was laid out.
        value: as `parse` returned it.
        now: what an update of the control changes of it (minimum, maximum, choices).

    Raises:
        InvalidInput: the control would not take it.
    """
    match control:
        case gr.Slider() | gr.Number():
            least = now.get("minimum", control.minimum)
            most = now.get("maximum", control.maximum)
            if value is not None and least is not None and value < least:
                raise InvalidInput("invalid_ge", field=name, limit=least)
            if value is not None and most is not None and value > most:
                raise InvalidInput("invalid_le", field=name, limit=most)
        case gr.Dropdown() | gr.Radio() | gr.CheckboxGroup():
            choices = [choice[1] for choice in now.get("choices", control.choices)]
            items = cast(list[Any], value) if isinstance(value, list) else [value]
            free = isinstance(control, gr.Dropdown) and control.allow_custom_value
            if any(item not in choices and not (free and len(str(item)) <= 200) for item in items):
                raise InvalidInput("invalid_choice", field=name)
        case gr.Textbox():
            if control.max_length and len(value or "") > control.max_length:
                raise InvalidInput("invalid_too_long", field=name, limit=control.max_length)
        case _:
            pass


def bind_address(page: gr.Blocks, tabs: dict[str, gr.Tab]) -> None:
    """Give each tab and inner tab an address of its own (address.js)."""
    for tab in tabs.values():
        tab.select(None, js="() => window.genlab.address.show()")
    page.load(None, js="() => window.genlab.address.start()")
