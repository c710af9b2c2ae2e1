"""Classes of one's own: train a classifier on labelled sentences, try it, save it, load it."""

import re
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple, cast

import gradio as gr
import pandas as pd

from models.contract import Finished
from models.errors import InvalidInput
from models.select import select_teachable
from models.tasks import TEACH
from models.teach.classifier_file import encoder_of, read_header
from models.teach.events import Classification, FineTuningResult, HeadResult, TrainingStep
from models.teach.requests import ClassifyRequest, FineTuneRequest, TeachRequest
from models.text.language import text_lines
from tabs.sentiment.teach import examples_file, training_html
from tabs.shared.charts import Bar, bars
from tabs.shared.context import Context
from tabs.shared.events import (
    Pace,
    at_field,
    follow,
    line,
    result_line,
    show_errors,
    waiting_line,
)
from tabs.shared.experiments import Experiments
from tabs.shared.gradio_patches import save_to_cache
from tabs.shared.strings import both, t
from tabs.shared.widgets import (
    bind_stop,
    examples_box,
    how_it_works,
    problem_box,
    recipe,
    recipe_box,
    result_box,
    stop_button,
    updates,
)
from tabs.shared.worked_examples import Recording, restore, worked_example

TAB = "teach"
HEAD, FINE_TUNING = "head", "tuned"
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
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


class TeachView(NamedTuple):
    """The components of a training's result.

    Attributes:
        which: HEAD or TUNED: the classifier that is used and saved.
        classifiers: {HEAD or TUNED: the content of its file}.
    """

    result: gr.HTML
    status: gr.HTML
    curve: gr.LinePlot
    code: gr.State  # the Script
    which: gr.Radio
    save: gr.DownloadButton
    classifiers: gr.State

    @classmethod
    def update(cls, **changes: Any) -> tuple[Any, ...]:
        """An update of the components that are named; the others stay as they are."""
        return updates(cls._fields, **changes)


def build(context: Context) -> None:
    """Lay the part out and bind it."""
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
            problem = problem_box(TAB)
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                tune = gr.Button(t(f"{TAB}.tune"), elem_id=f"{TAB}-tune")
                stop = stop_button(TAB)
            examples_file.build(text, TAB)
            titles = ["complaint · praise · question", "불만 · 칭찬 · 문의"]
            examples_box(TAB, [[lines] for lines in EXAMPLES], [text], f"{TAB}-start", titles)
            below = gr.Column()
            dials = _build_dials()
            controls: dict[str, gr.components.Component] = dict(
                zip(("examples", "encoder", "epochs", "rank", "seed"), [text, *dials], strict=True)
            )
            with below:
                tries = Experiments("sentiment.teach", controls, f"{TAB}-start")
        with gr.Column():
            view, sentence, unfit, use, scores, load = _build_result()
            how_it_works(TAB)

    def train_head(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _train(context, request, TeachRequest, *values)

    def fine_tune(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _train(context, request, FineTuneRequest, *values)

    def classify(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _classify(context, request, *values)

    job: dict[str, Any] = {
        "inputs": [text, *dials, view.classifiers],
        "outputs": [*view, problem],
        "concurrency_limit": 8,
        **_PRIVATE,
    }
    events = [
        start.click(at_field(train_head, problem), **job),
        tune.click(at_field(fine_tune, problem), **job),
    ]
    for event in events:
        tries.after(event)
    bind_stop(stop, events, view.status, line(both("page.stopped")))
    inputs = [sentence, view.which, view.classifiers]
    use_it = at_field(classify, unfit)
    gr.on([use.click, sentence.submit], use_it, inputs, [scores, unfit], **_PRIVATE)
    view.which.change(_choose, [view.which, view.classifiers], view.save, **_PRIVATE)
    load.upload(_load, load, list(view), **_PRIVATE)


def _build_dials() -> list[gr.components.Component]:
    """Encoder, epochs, rank and seed, folded."""
    with gr.Accordion(t("page.advanced"), open=False, elem_id=f"{TAB}-advanced"):
        return [
            gr.Dropdown(
                label=t(f"{TAB}.encoder"),
                info=t(f"{TAB}.encoder_info"),
                choices=[(t("page.auto"), "auto"), *((spec.label, spec.id) for spec in TEACH.models)],
                value="auto",
                elem_id=f"{TAB}-encoder",
            ),
            gr.Slider(
                1, 50, 10, step=1, label=t(f"{TAB}.epochs"), info=t(f"{TAB}.epochs_info"),
                elem_id=f"{TAB}-epochs",
            ),
            gr.Slider(
                1, 64, 8, step=1, label=t(f"{TAB}.rank"), info=t(f"{TAB}.rank_info"),
                elem_id=f"{TAB}-rank",
            ),
            gr.Number(
                label=t(f"{TAB}.seed"), info=t(f"{TAB}.seed_info"), value=0, precision=0,
                minimum=0, elem_id=f"{TAB}-seed",
            ),
        ]  # fmt: skip


def _build_result() -> tuple[TeachView, gr.Textbox, gr.HTML, gr.Button, gr.HTML, gr.UploadButton]:
    """The right side: the result, a sentence to try, saving and loading."""
    result, status = result_box(TAB, worked_example("sentiment.teach", _example))
    curve = gr.LinePlot(
        x="step", y="loss", label=t(f"{TAB}.loss"), height=180, visible=False, elem_id=f"{TAB}-loss"
    )
    sentence = gr.Textbox(
        label=t(f"{TAB}.try"), placeholder=t(f"{TAB}.try_placeholder"), elem_id=f"{TAB}-try"
    )
    unfit = problem_box(f"{TAB}-try")
    which = gr.Radio(
        [(t(f"{TAB}.head"), HEAD), (t(f"{TAB}.tuned"), FINE_TUNING)],
        value=HEAD,
        label=t(f"{TAB}.which"),
        visible=False,
        elem_id=f"{TAB}-which",
    )
    use = gr.Button(t(f"{TAB}.use"), size="sm", elem_id=f"{TAB}-use")
    scores = gr.HTML(elem_id=f"{TAB}-said")
    with gr.Row():
        save = gr.DownloadButton(
            cast(str, t(f"{TAB}.save")), visible=False, size="sm", elem_id=f"{TAB}-save"
        )
        load = gr.UploadButton(
            cast(str, t(f"{TAB}.load")),
            file_types=[".safetensors"],
            size="sm",
            elem_id=f"{TAB}-load",
        )
    code = recipe_box(TAB)
    view = TeachView(result, status, curve, code, which, save, gr.State({}))
    return view, sentence, unfit, use, scores, load


def _example(recording: Recording) -> str:
    return training_html.head(restore(HeadResult, recording["result"]))


# ---------------------------------------------------------------- training


def examples_of(text: str) -> list[dict[str, str]]:
    """Labelled sentences from lines "label: sentence".

    Raises:
        InvalidInput: a line has no label (teach_line names its number).
    """
    examples: list[dict[str, str]] = []
    for number, content in enumerate(text_lines(str(text)), 1):
        if not content.strip():
            continue
        parts = _LINE.fullmatch(content.rstrip())
        if parts is None:
            raise InvalidInput("teach_line", number=number)
        examples.append(parts.groupdict())
    if not examples:
        raise InvalidInput("invalid_blank", field="examples")
    return examples


def _train(
    context: Context,
    request: gr.Request,
    kind: type[TeachRequest],
    text: str,
    encoder: str,
    epochs: Any,
    rank: Any,
    seed: Any,
    classifiers: dict[str, bytes],
) -> Generator[tuple[Any, ...]]:
    """Yield updates of the view during a training of a head or a fine-tuning."""
    with show_errors(request):
        values: dict[str, Any] = {"examples": examples_of(text), "seed": seed or 0}
        if kind is FineTuneRequest:
            values |= {"epochs": epochs, "rank": rank}
        training = kind.of(**values)
        spec = select_teachable(encoder, training.pairs()[0])
    losses: list[tuple[int, float]] = []
    pace = Pace()
    result: HeadResult | FineTuningResult | None = None
    for event in follow(context, spec, training, request):
        if isinstance(event, TrainingStep):
            losses.append((event.step, event.loss))
            if pace.due() or event.step == event.total:
                curve = pd.DataFrame(losses, columns=["step", "loss"])
                yield TeachView.update(
                    status=training_html.progress(event),
                    curve=gr.update(value=curve, visible=True),
                )
        elif isinstance(event, HeadResult | FineTuningResult):
            result = event
            yield TeachView.update()
        elif isinstance(event, Finished) and result:
            yield TeachView.update(
                status=result_line(event),
                code=recipe(spec, training, event.placement),
                **_result_updates(result, classifiers),
            )
        else:
            wait = waiting_line(event)
            yield TeachView.update(status=wait) if wait and not losses else TeachView.update()


def _result_updates(
    result: HeadResult | FineTuningResult, classifiers: dict[str, bytes]
) -> dict[str, Any]:
    """The view's changes: the figures, and the classifier ready for use and for saving."""
    if isinstance(result, FineTuningResult):
        name, figures, others = FINE_TUNING, training_html.fine_tuning(result), classifiers
        curve = gr.skip()
    else:  # an earlier fine-tuning may be of other sentences
        name, figures, others = HEAD, training_html.head(result), dict[str, bytes]()
        curve = gr.update(visible=False)
    return {
        "result": figures,
        "curve": curve,
        "which": gr.update(visible=HEAD in others, value=name),
        "save": gr.update(value=_file(result.classifier, name), visible=True),
        "classifiers": {**others, name: result.classifier},
    }


def _file(content: bytes, name: str) -> str:
    """Path of the classifier's file in the page's cache."""
    return save_to_cache(content, f"classifier-{name}.safetensors")


# ---------------------------------------------------------------- use


def _classify(
    context: Context, request: gr.Request, text: str, which: str, classifiers: dict[str, bytes]
) -> Generator[Any]:
    """Yield what is waited for, then the classes of a sentence, the likeliest first."""
    with show_errors(request):
        content = classifiers.get(which) or next(iter(classifiers.values()), None)
        if content is None:
            raise InvalidInput("teach_nothing")
        classification = ClassifyRequest.of(classifier=content, texts=[text])
        spec = encoder_of(content)
    for event in follow(context, spec, classification, request):
        if isinstance(event, Classification):
            rows = zip(event.labels, event.probabilities[0], strict=True)
            by_probability = sorted(rows, key=lambda row: -row[1])
            yield bars([Bar(training_html.name(label), p) for label, p in by_probability])
        else:
            yield waiting_line(event) or gr.skip()


def _choose(which: str, classifiers: dict[str, bytes]) -> Any:
    """The file of the classifier that was chosen, on the button that saves it."""
    if which not in classifiers:
        return gr.skip()
    return gr.update(value=_file(classifiers[which], which))


def _load(request: gr.Request, path: str) -> tuple[Any, ...]:
    """The view with a classifier from a file."""
    with show_errors(request):
        content = Path(path).read_bytes()
        spec, labels = encoder_of(content), read_header(content).labels
    return TeachView.update(
        result=training_html.file(labels, spec.label),
        which=gr.update(visible=False, value=HEAD),
        curve=gr.update(visible=False),
        save=gr.update(visible=False),
        classifiers={HEAD: content},
        status="",
        code="",
    )
