"""Compare sentences by a pretrained encoder: a pair, or each with every other."""

import html
from collections.abc import Generator
from typing import Any

import gradio as gr

from models.base import Finished, ModelSpec, Similarities, Task
from models.choice import choose, language_of
from models.errors import InvalidInput, NotFound
from models.registry import models_of
from models.requests import SimilarityRequest
from tabs.context import Context
from tabs.events import follow, line, python, result_line, told, waiting_line
from tabs.parts import bind_stop, examples_box, how_it_works, model_picker, recipe_box, stop_button
from tabs.sentence_similarity.show import matrix, note, pair
from tabs.text import both, spans, t

TAB = "sentence_similarity"
WORD2VEC = "word2vec"
SEVERAL = [
    "A man is playing a guitar.",
    "Someone plays the guitar.",
    "A woman is cooking dinner.",
    "She prepares the evening meal.",
    "The stock market fell sharply today.",
]
# (first sentence, second, more): a paraphrase, another matter, one word in two senses, a table.
EXAMPLES = [
    (SEVERAL[0], SEVERAL[1], ""),
    (SEVERAL[0], SEVERAL[4], ""),
    ("The bank raised its interest rates.", "We had a picnic on the river bank.", ""),
    (SEVERAL[0], SEVERAL[1], "\n".join(SEVERAL[2:])),
    ("고양이가 소파에서 자요.", "소파 위에서 고양이가 잠들었어요.", ""),
    ("고양이가 소파에서 자요.", "오늘 주가가 크게 떨어졌어요.", ""),
]
SCALE = ((0.75, "same"), (0.5, "close"), (0.25, "some"), (-1.0, "none"))  # of sentence encoders


def build(context: Context) -> None:
    """Lay the comparison out and bind it to its models."""
    with gr.Row():
        with gr.Column():
            first = gr.Textbox(label=t(f"{TAB}.sentence_a"), lines=2, elem_id=f"{TAB}-a")
            second = gr.Textbox(label=t(f"{TAB}.sentence_b"), lines=2, elem_id=f"{TAB}-b")
            with gr.Accordion(t(f"{TAB}.more_title"), open=False, elem_id=f"{TAB}-more-box"):
                more = gr.Textbox(
                    label=t(f"{TAB}.more"),
                    info=t(f"{TAB}.more_info"),
                    lines=4,
                    elem_id=f"{TAB}-more",
                )
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                stop = stop_button(TAB)
            titles = [_title(*example) for example in EXAMPLES]
            examples_box(TAB, EXAMPLES, [first, second, more], f"{TAB}-start", titles)
            model = model_picker(context, Task.SENTENCE_SIMILARITY, f"{TAB}-model", {WORD2VEC})
            about = gr.HTML(_about(context, "auto"), elem_id=f"{TAB}-about")
        with gr.Column():
            result = gr.HTML(
                both(f"{TAB}.empty"),
                container=True,
                padding=True,
                min_height=120,
                elem_id=f"{TAB}-result",
            )
            status = gr.HTML(elem_id=f"{TAB}-status")
            code = recipe_box(TAB)
            how_it_works(TAB)

    def compare(a: str, b: str, more: str, model: str, request: gr.Request) -> Generator[Any]:
        yield from _compare(context, [a, b, *_lines(more)], model, request)

    private: dict[str, Any] = {"api_visibility": "private"}
    job = gr.on(
        [start.click, first.submit, second.submit],
        compare,
        [first, second, more, model],
        [result, status, code],
        show_progress="hidden",
        **private,
    )
    bind_stop(stop, [job], status, line(both("page.stopped")))
    model.change(lambda model: _about(context, model), model, about, **private)
    _endpoint(context)


def _title(first: str, second: str, more: str) -> str:
    several = f" … ({2 + len(_lines(more))})" if more else ""
    return f"{first} ↔ {second}{several}"


def _lines(text: str) -> list[str]:
    return [one for one in text.splitlines() if one.strip()]


def _about(context: Context, model: str) -> str:
    """What the chosen encoder is, and its licence."""
    try:
        spec = choose(Task.SENTENCE_SIMILARITY, model, context.settings)
    except NotFound:
        return ""
    what = spans({language: html.escape(text) for language, text in spec.note.items()})
    return line(
        " · ".join(filter(None, (html.escape(spec.label), what, html.escape(spec.licence))))
    )


def _encoder(context: Context, model: str, sentences: tuple[str, ...]) -> ModelSpec:
    """The model to compare with.

    Raises:
        InvalidInput: Word2Vec, which has nothing to compare with until it is trained.
    """
    if model == WORD2VEC:
        raise InvalidInput("invalid_word2vec")
    return choose(Task.SENTENCE_SIMILARITY, model, context.settings, " ".join(sentences))


def _compare(
    context: Context, sentences: list[str], model: str, request: gr.Request
) -> Generator[tuple[Any, Any, Any]]:
    """Yield (result, status line, recipe) as the job goes on."""
    with told(request):
        ask = SimilarityRequest.of(sentences=sentences)
        spec = _encoder(context, model, ask.sentences)
    found = Similarities(())
    for event in follow(context, spec, ask, request):
        if isinstance(event, Similarities):
            found = event
        elif isinstance(event, Finished):
            shown = _shown(spec, ask.sentences, found)
            yield shown, result_line(event), python(spec, ask, event)
        elif wait := waiting_line(event):
            yield gr.skip(), wait, gr.skip()


def _shown(spec: ModelSpec, sentences: tuple[str, ...], found: Similarities) -> str:
    """The result with what is to be said about it, as HTML."""
    read = _reads(spec, sentences)
    if len(sentences) == 2:
        cosine = found.cosines[0][1]
        shown = line(both(f"{TAB}.cosine"))
        shown += pair(cosine, _reading(spec, cosine) if read else "")
    else:
        shown = matrix(sentences, found)
    notes: list[str] = []
    if not read:
        better = "paraphrase-multilingual-MiniLM-L12-v2"
        notes.append(both(f"{TAB}.language", model=spec.label, better=better))
    elif len(sentences) > 2:
        notes.append(_reading(spec, None))
    if found.truncated:
        cut = ", ".join(str(i + 1) for i in found.truncated)
        notes.append(both(f"{TAB}.truncated", sentences=cut))
    return shown + "".join(note(one) for one in notes if one)


def _reads(spec: ModelSpec, sentences: tuple[str, ...]) -> bool:
    """Whether the encoder knows the language of every sentence."""
    return spec.languages == ("*",) or all(language_of(s) in spec.languages for s in sentences)


def _reading(spec: ModelSpec, cosine: float | None) -> str:
    """What a cosine of this encoder says: each has a scale of its own."""
    if spec.engine.endswith(":BertSimilarity"):
        return both(f"{TAB}.reading.bert")
    if spec not in models_of(Task.SENTENCE_SIMILARITY):
        return both(f"{TAB}.reading.own_scale")
    if cosine is None:
        return ""
    return both(f"{TAB}.reading.{next(name for least, name in SCALE if cosine >= least)}")


def _endpoint(context: Context) -> None:
    def compare_sentences(
        sentence_a: str,
        sentence_b: str,
        model: str = "auto",
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> tuple[float, dict[str, Any]]:
        """Compare two sentences; `model="auto"` picks by their language.

        Returns:
            The cosine, -1 to 1, and {"model", "seconds", "language_known", "truncated"}: whether the
            encoder reads the sentences' language, and which of them (0, 1) it saw only in part.
        """
        with told(request):
            ask = SimilarityRequest.of(sentences=(sentence_a, sentence_b))
            spec = _encoder(context, model, ask.sentences)
        found, seconds = Similarities(()), 0.0
        for event in follow(context, spec, ask, request):
            if isinstance(event, Similarities):
                found = event
            elif isinstance(event, Finished):
                seconds = event.seconds
        facts = {
            "model": spec.id,
            "seconds": seconds,
            "language_known": _reads(spec, ask.sentences),
            "truncated": list(found.truncated),
        }
        return found.cosines[0][1], facts

    gr.api(compare_sentences, api_name="compare_sentences")
