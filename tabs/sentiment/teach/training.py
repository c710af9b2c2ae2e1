"""Teach it: classes of one's own, from a handful of labelled sentences."""

import re
from collections.abc import Generator
from typing import Any

import gradio as gr
import pandas as pd

from models.contract import Finished
from models.errors import InvalidInput
from models.teach.events import FineTuned, Taught, TrainStep
from models.teach.recipe import python
from models.teach.requests import FineTuneRequest, TeachRequest
from models.teach.select import encoder_for
from tabs.sentiment.teach import file as teach_file
from tabs.sentiment.teach import result_html as show
from tabs.sentiment.teach.use import bind_use
from tabs.sentiment.teach.view import HEAD, TAB, TUNED, build_dials, build_result, frame, saved
from tabs.shared.context import Context
from tabs.shared.events import Pace, follow, line, result_line, show_errors, waiting_line
from tabs.shared.strings import both, t
from tabs.shared.widgets import bind_stop, examples_box, stop_button

_LINE = re.compile(r"\s*(?P<label>[^:：\t]{1,60}?)\s*[:：\t]\s*(?P<text>\S.*)")
EXAMPLES = [
    """complaint: My parcel never arrived.
complaint: The box was broken when it came.
complaint: I have waited two weeks for my order.
complaint: You charged me twice.
complaint: The shoes fell apart after a day.
complaint: Nobody answers my calls.
praise: The delivery was so fast, thank you!
praise: I love the new bag.
praise: Great service and friendly people.
praise: Best coffee machine I ever had.
praise: It fits perfectly, I am very happy.
praise: Wonderful quality for the price.
question: Do you ship to Korea?
question: When will it be back in stock?
question: How do I return an item?
question: Which size should I take?
question: Is there a student discount?
question: Can I pay by card?""",
    """불만: 택배가 아직도 안 왔어요.
불만: 상자가 찢어진 채로 왔네요.
불만: 두 번이나 결제됐어요.
불만: 전화를 아무도 안 받아요.
불만: 하루 신었는데 밑창이 떨어졌어요.
불만: 색이 사진이랑 너무 달라서 실망했어요.
칭찬: 배송이 정말 빨라서 좋았어요!
칭찬: 가방이 너무 예뻐요.
칭찬: 직원분이 친절하셨어요.
칭찬: 딱 맞고 편해서 아주 만족해요.
칭찬: 가격에 비해 품질이 훌륭해요.
칭찬: 다음에도 여기서 살게요. 최고예요.
문의: 언제 다시 들어오나요?
문의: 교환은 어떻게 하나요?
문의: 제주도에도 배송되나요?
문의: 어떤 사이즈를 사면 될까요?
문의: 학생 할인도 있나요?
문의: 카드로 결제할 수 있나요?""",
]


def build(context: Context) -> None:
    """Lay the part out and bind it to its models."""
    with gr.Row():
        with gr.Column():
            text = gr.Textbox(
                label=t(f"{TAB}.examples"),
                info=t(f"{TAB}.examples_info"),
                placeholder=t(f"{TAB}.placeholder"),
                lines=10,
                max_lines=18,
                elem_id=f"{TAB}-examples-text",
            )
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                tune = gr.Button(t(f"{TAB}.tune"), elem_id=f"{TAB}-tune")
                stop = stop_button(TAB)
            teach_file.build(text, TAB)
            titles = ["complaint · praise · question", "불만 · 칭찬 · 문의"]
            examples_box(TAB, [[one] for one in EXAMPLES], [text], f"{TAB}-start", titles)
            dials = build_dials()
        with gr.Column():
            view, tried = build_result()
            with gr.Accordion(t("page.how"), open=False, elem_id=f"{TAB}-how"):
                gr.Markdown(t(f"{TAB}.how"))

    def teach(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _teach(context, request, TeachRequest, *values)

    def fine_tune(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _teach(context, request, FineTuneRequest, *values)

    job: dict[str, Any] = {
        "inputs": [text, *dials, view.made],
        "outputs": list(view),
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_limit": 8,
    }
    events = [start.click(teach, **job), tune.click(fine_tune, **job)]
    bind_stop(stop, events, view.status, line(both("page.stopped")))
    bind_use(context, view, *tried)


def examples_of(text: str) -> list[dict[str, str]]:
    """Labelled sentences from lines "label: sentence".

    Raises:
        InvalidInput: a line has no label (teach_line names its number).
    """
    found: list[dict[str, str]] = []
    for number, written in enumerate(str(text).splitlines(), 1):
        if not written.strip():
            continue
        parts = _LINE.fullmatch(written.rstrip())
        if parts is None:
            raise InvalidInput("teach_line", number=number)
        found.append(parts.groupdict())
    if not found:
        raise InvalidInput("invalid_blank", field="examples")
    return found


def _teach(
    context: Context,
    request: gr.Request,
    kind: type[TeachRequest],
    text: str,
    encoder: str,
    epochs: Any,
    rank: Any,
    seed: Any,
    made: dict[str, bytes],
) -> Generator[tuple[Any, ...]]:
    """Yield updates of the view while a head is taught or an encoder fine-tuned."""
    with show_errors(request):
        given: dict[str, Any] = {"examples": examples_of(text), "seed": seed or 0}
        if kind is FineTuneRequest:
            given |= {"epochs": epochs, "rank": rank}
        ask = kind.of(**given)
        spec = encoder_for(ask.pairs()[0], context.settings, encoder)
    losses: list[tuple[int, float]] = []
    pace = Pace()
    found: Taught | FineTuned | None = None
    for event in follow(context, spec, ask, request):
        if isinstance(event, TrainStep):
            losses.append((event.step, event.loss))
            if pace.due() or event.step == event.total:
                yield frame(status=show.training(event), curve=_curve(losses))
        elif isinstance(event, Taught | FineTuned):
            found = event
            yield frame()
        elif isinstance(event, Finished) and found:
            told_of = {
                "status": result_line(event),
                "code": python(spec, ask, event.placement),
            }
            yield frame(**_shown(found, made), **told_of)
        else:
            wait = waiting_line(event)
            yield frame(status=wait) if wait and not losses else frame()


def _curve(losses: list[tuple[int, float]]) -> Any:
    return gr.update(value=pd.DataFrame(losses, columns=["step", "loss"]), visible=True)


def _shown(found: Taught | FineTuned, made: dict[str, bytes]) -> dict[str, Any]:
    """The view's new parts: the figures, and the classifier ready to use and to save."""
    name = TUNED if isinstance(found, FineTuned) else HEAD
    # A newly taught head makes the fine-tuned one of other sentences out of date.
    kept = made if name == TUNED else {}
    result = show.tuned(found) if isinstance(found, FineTuned) else show.taught(found)
    changes = {
        "result": result,
        "which": gr.update(visible=bool(kept.get(HEAD)), value=name),
        "save": gr.update(value=saved(found.classifier, name), visible=True),
        "made": {**kept, name: found.classifier},
    }
    return changes if name == TUNED else changes | {"curve": gr.update(visible=False)}
