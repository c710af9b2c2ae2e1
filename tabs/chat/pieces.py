"""A message as the tokens that a model reads, and one sentence in two languages by several tokenizers."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import gradio as gr

from models.chat.events import NextToken, Piece
from models.chat.requests import NextTokenRequest
from models.chat.token_odds import pieces_of_texts
from models.contract import Finished, ModelSpec, Stop
from models.errors import ModelError
from models.runtime.jobs import run
from models.servers.prices import price_of, read
from models.tasks import CHAT, SENTENCE_SIMILARITY, SENTIMENT, TEXT_TO_IMAGE
from models.weights.sources import folder, is_here
from tabs.chat.controls import DialComponents
from tabs.chat.token_odds.next_token import next_token_request
from tabs.chat.token_odds.view import CSS, prompt_chips, visible
from tabs.shared.context import Context
from tabs.shared.events import alert, line, waiting_line
from tabs.shared.strings import both, phrases_html, t

_PAIR = (
    "The weather is lovely today, so let's go for a walk.",
    "오늘은 날씨가 정말 좋으니 산책하러 가요.",
)
_WARM_UP = "1 2 3"  # a model's first text takes longer than its second
_SENTENCES = 1000  # that the price is given for
_HEARTBEAT = 0.4  # seconds between two lines on what is being waited for


def build(context: Context, dials: DialComponents) -> gr.Button:
    """Lay the part out.

    Returns:
        The button that splits and compares.
    """
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    gr.Markdown(t("pieces.about"), elem_id="pieces")
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            message = gr.Textbox(
                label=t("pieces.message"),
                value=t("next.example"),
                max_lines=4,
                elem_classes="tall",
                elem_id="pieces-message",
            )
            english = gr.Textbox(label=t("pieces.english"), value=_PAIR[0], elem_id="pieces-en")
            korean = gr.Textbox(label=t("pieces.korean"), value=_PAIR[1], elem_id="pieces-ko")
            start = gr.Button(t("pieces.start"), variant="primary", elem_id="pieces-start")
            status = gr.HTML(elem_id="pieces-status")
        with gr.Column(scale=3, min_width=300):
            chips = gr.HTML(elem_id="pieces-read", css_template=CSS)
            table = gr.HTML(elem_id="pieces-table", css_template=CSS)

    def handler(text: Any, en: Any, ko: Any, model: Any, system: Any) -> Generator[Any]:
        try:
            values = {"text": text, "as_message": True, "system_prompt": system}
            spec, request = next_token_request(context, model, values)
            for event in _follow(context, spec, request):
                if isinstance(event, str):
                    yield event, gr.skip(), gr.skip()
                elif isinstance(event, NextToken):
                    yield "", prompt_chips(event.prompt, 0), gr.skip()
        except ModelError as problem:
            yield alert(problem), "", gr.skip()
        yield from _compare(context, en, ko)

    inputs = [message, english, korean, dials.model, dials.system_prompt]
    outputs = [status, chips, table]
    triggers = [start.click, message.submit, english.submit, korean.submit]
    gr.on(triggers, handler, inputs, outputs, trigger_mode="once", **private)
    return start


def _follow(
    context: Context, spec: ModelSpec, request: NextTokenRequest
) -> Generator[NextToken | Finished | str]:
    """The job's results, and its waits as HTML."""
    with closing(run(context.cache, spec, request)) as events:
        for event in events:
            if isinstance(event, NextToken | Finished):
                yield event
            elif wait := waiting_line(event):
                yield wait


def _compare(context: Context, english: Any, korean: Any) -> Generator[Any]:
    """The table, a row more for each tokenizer that is here."""
    rows: list[str] = []
    before: set[tuple[int | None, ...]] = set()
    for spec in CHAT.models:
        if not _light(context, spec):
            continue
        results: list[tuple[tuple[Piece, ...], float]] = []
        try:
            for text in (_WARM_UP, english, korean):
                pieces: tuple[Piece, ...] = ()
                for event in _follow(context, spec, NextTokenRequest.of(text=text, likeliest=1)):
                    if isinstance(event, str):
                        yield event, gr.skip(), gr.skip()
                    elif isinstance(event, NextToken):
                        pieces = event.prompt
                    else:
                        results.append((pieces, event.seconds))
        except ModelError as problem:
            yield alert(problem), gr.skip(), gr.skip()
            return
        if len(results) < 3:
            continue
        ids = tuple(piece.id for pieces, _ in results for piece in pieces)
        if ids in before:  # the same tokenizer in another file
            continue
        before.add(ids)
        rows.append(_row(spec, results[1], results[2], context))
        yield line(""), gr.skip(), _table(context, english, korean, rows)
    for spec, file in _other_tokenizers(context):
        # A large vocabulary takes seconds to read. Nobody waits for its end: Gradio closes this generator on
        # its event loop.
        worker = ThreadPoolExecutor(1)
        future, start = worker.submit(pieces_of_texts, file, (english, korean)), monotonic()
        worker.shutdown(wait=False)
        while wait([future], _HEARTBEAT).not_done:
            seconds = f"{monotonic() - start:.0f}"
            yield line(both("wait.work", seconds=seconds)), gr.skip(), gr.skip()
        try:
            cut = future.result()
        except Exception:  # damaged: the model says so where it is used
            continue
        ids = tuple(piece.id for pieces in cut for piece in pieces)
        if ids in before:
            continue
        before.add(ids)
        rows.append(_row(spec, (cut[0], None), (cut[1], None), context))
        yield line(""), gr.skip(), _table(context, english, korean, rows)


def _other_tokenizers(context: Context) -> Generator[tuple[ModelSpec, Path]]:
    """The tokenizers of models that do not chat and are here, the smallest first: no model is loaded."""
    files: dict[Path, ModelSpec] = {}
    for task in (SENTENCE_SIMILARITY, SENTIMENT, TEXT_TO_IMAGE):
        for spec in task.models:
            if spec.hosted or spec.scheme == "hub" or not is_here(spec):
                continue
            with suppress(ModelError):
                where = folder(spec, context.settings, Stop(), lambda _: None)
                for file in (
                    where / part / "tokenizer.json" for part in (".", "tokenizer") if where
                ):
                    if file.is_file():
                        files.setdefault(file.resolve(), spec)
    for file in sorted(files, key=lambda file: file.stat().st_size):
        yield files[file], file


def _light(context: Context, spec: ModelSpec) -> bool:
    """Whether a model's tokenizer is quick to get: it ships, is one small file, or is loaded."""
    if spec.hosted or not is_here(spec):
        return False
    in_memory = any((one.task, one.id) == (spec.task, spec.id) for one in context.cache.status())
    return in_memory or spec.starter or spec.scheme == "index"


def _table(context: Context, english: str, korean: str, rows: list[str]) -> str:
    sizes = [(len(text), len(text.encode(errors="replace"))) for text in (english, korean)]
    letters = [both("pieces.letters", letters=n, bytes=size) for n, size in sizes]
    heads = "".join(
        f"<th>{both(f'pieces.{language}')}<br><small>{size}</small></th>"
        for language, size in zip(("in_en", "in_ko"), letters, strict=True)
    )
    why = f'<p class="quiet">{both("pieces.why")}</p>{_price_note(context)}'
    return f'<table class="plain pieces"><tr>{heads}</tr>{"".join(rows)}</table>{why}'


def _row(
    spec: ModelSpec,
    english: tuple[tuple[Piece, ...], float | None],
    korean: tuple[tuple[Piece, ...], float | None],
    context: Context,
) -> str:
    """A tokenizer: its name and how many times as many tokens Korean takes, then both sentences."""
    times = len(korean[0]) / max(1, len(english[0]))
    cells = "".join(_cell(context, *one) for one in (english, korean))
    task = f" ({both(f'tasks.{spec.task}')})" if spec.task != CHAT.id else ""
    head = f"<b>{phrases_html(spec.label)}</b>{task} · {both('pieces.more', times=f'{times:.1f}')}"
    return f'<tr class="whose"><th colspan="2">{head}</th></tr><tr>{cells}</tr>'


def _cell(context: Context, pieces: tuple[Piece, ...], seconds: float | None) -> str:
    """The pieces with their ids, how many, how long the model read, and what so many would cost."""
    chips = "".join(
        f'<span class="chip" title="id {piece.id}"><span>{visible(piece.text)}</span></span>'
        for piece in pieces
    )
    facts = [both("pieces.count", count=len(pieces))]
    if seconds is not None:
        facts.append(both("pieces.ms", ms=f"{1000 * seconds:.0f}"))
    if entry := _price(context):
        dollars = entry[0].cost(len(pieces) * _SENTENCES, 0)
        facts.append(f"${dollars:.3f}")
    return (
        f'<td><div class="chips">{chips}</div><span class="quiet">{" · ".join(facts)}</span></td>'
    )


def _price(context: Context) -> Any:
    settings = context.settings
    return price_of(read(settings.prices), settings.server_name(), settings.openai_model)


def _price_note(context: Context) -> str:
    if (entry := _price(context)) is None:
        return ""
    price, table = entry
    values = {
        "sentences": f"{_SENTENCES:,}",
        "model": context.settings.openai_model,
        "price": f"{price.input:g}",
        "date": table.date,
    }
    return f'<p class="quiet">{both("pieces.price", **values)}</p>'
