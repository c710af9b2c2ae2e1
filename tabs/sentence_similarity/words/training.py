"""Train Word2Vec on a text of one's own, see it learn, and look at its words."""

import math
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import gradio as gr

from models.contract import Finished
from models.fields import MAX_SEED, draw_seed
from models.select import find
from models.tasks import SENTENCE_SIMILARITY
from models.text.segmentation import training_sentences
from models.text.segmentation import words as words_of
from models.text.tables import decode
from models.word_vectors.events import Word2VecDone, Word2VecStep
from models.word_vectors.requests import Word2VecRequest
from tabs.sentence_similarity.show import note, number, pair
from tabs.sentence_similarity.words import own_vectors as words_own
from tabs.sentence_similarity.words import view as words_show
from tabs.shared.context import Context
from tabs.shared.events import follow, line, python, result_line, show_errors, waiting_line
from tabs.shared.strings import both, t
from tabs.shared.widgets import (
    bind_stop,
    examples_box,
    how_it_works,
    recipe_box,
    result_box,
    stop_button,
)

TAB = "word2vec"
OFFERED = 40  # words of the vocabulary that are named when one was unknown
ENGLISH = (
    "The king rules the land.\nThe queen rules the land.\n"
    "The dog chases the cat.\nThe cat sleeps on the sofa.",
    "king",
    "queen",
    "The king rules.",
    "The cat sleeps.",
)
KOREAN = (
    "왕이 나라를 다스려요.\n여왕이 나라를 다스려요.\n"
    "강아지가 고양이를 쫓아가요.\n고양이가 소파에서 자요.",
    "왕이",
    "여왕이",
    "왕이 나라를 다스려요.",
    "고양이가 자요.",
)
EXAMPLES = (ENGLISH, KOREAN)
DIALS = ("vector_size", "window", "min_count", "sg", "negative", "epochs", "seed", "words")


def build(context: Context, own: gr.State) -> None:
    """Lay the training out and bind it; the vectors end up in `own`."""
    with gr.Row():
        with gr.Column():
            filled = _texts()
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                stop = stop_button(TAB)
            titles = [f"{a} ↔ {b}" for _, a, b, *_ in EXAMPLES]
            examples_box(TAB, EXAMPLES, filled, f"{TAB}-start", titles)
            dials = _dials()
        with gr.Column():
            result, status = result_box(TAB, both(f"{TAB}.empty"))
            with gr.Row():
                files = words_own.save_buttons()
                words_own.load_button(own, status, files)
            code = recipe_box(TAB)
            how_it_works(TAB)

    def train(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _train(context, values, request)

    private: dict[str, Any] = {"api_visibility": "private"}
    job = start.click(
        train, [*filled, *dials], [result, status, code, own], show_progress="hidden", **private
    )
    job.success(words_own.saved, own, files, show_progress="hidden", **private)
    bind_stop(stop, [job], status, line(both("page.stopped")))


def _texts() -> list[gr.Textbox]:
    """What is trained on, and what is asked afterwards, in the order of an example."""
    corpus = gr.Textbox(
        ENGLISH[0],
        label=t(f"{TAB}.corpus"),
        info=t(f"{TAB}.corpus_info"),
        lines=5,
        max_lines=12,
        elem_id=f"{TAB}-corpus",
    )
    _file_button(corpus)
    boxes = [corpus]
    for names in (("word_a", "word_b"), ("sentence_a", "sentence_b")):
        with gr.Row():
            for name in names:
                value = ENGLISH[len(boxes)]
                boxes.append(gr.Textbox(value, label=t(f"{TAB}.{name}"), elem_id=f"{TAB}-{name}"))
    return boxes


def _file_button(corpus: gr.Textbox) -> None:
    """A button that fills the training text from a text file, in whichever encoding it is."""
    button = gr.UploadButton(
        cast(str, t(f"{TAB}.file")), file_types=["text"], size="sm", elem_id=f"{TAB}-file"
    )

    def fill(path: str, request: gr.Request) -> str:
        with show_errors(request):
            return decode(Path(path).read_bytes())

    button.upload(fill, button, corpus, api_visibility="private")


def _dials() -> list[Any]:
    """Gensim's parameters and the map's words, in the order of DIALS."""

    def slider(name: str, least: int, most: int, value: int) -> gr.Slider:
        return gr.Slider(
            least, most, value, step=1, label=t(f"{TAB}.{name}"), elem_id=f"{TAB}-{name}"
        )

    with gr.Accordion(t("page.advanced"), open=False, elem_id=f"{TAB}-advanced"):
        algorithm = gr.Radio(
            [(t(f"{TAB}.cbow"), 0), (t(f"{TAB}.skip_gram"), 1)],
            value=0,
            label=t(f"{TAB}.sg"),
            elem_id=f"{TAB}-sg",
        )
        return [
            slider("vector_size", 2, 300, 5),
            slider("window", 1, 20, 5),
            slider("min_count", 1, 100, 1),
            algorithm,
            slider("negative", 1, 20, 5),
            slider("epochs", 1, 500, 5),
            gr.Number(
                1,
                label=t(f"{TAB}.seed"),
                info=t(f"{TAB}.seed_info"),
                precision=0,
                minimum=-1,
                maximum=MAX_SEED,
                elem_id=f"{TAB}-seed",
            ),
            gr.Textbox(
                label=t(f"{TAB}.map_words"),
                info=t(f"{TAB}.map_words_info"),
                elem_id=f"{TAB}-map_words",
            ),
        ]


def _train(
    context: Context, values: tuple[Any, ...], request: gr.Request
) -> Generator[tuple[Any, Any, Any, Any]]:
    """Yield (result, status line, recipe, the vectors) as the job goes on."""
    corpus, word_a, word_b, first, second, *dials = values
    *numbers, mapped = dials
    with show_errors(request):
        ask = Word2VecRequest.of(
            corpus=corpus,
            word_a=word_a,
            word_b=word_b,
            sentences=[sentence for sentence in (first, second) if sentence],
            words=words_of(mapped or ""),
            **dict(zip(DIALS[:-1], numbers, strict=True)),
        )
        ask = ask.model_copy(update={"seed": draw_seed(ask.seed)})
        spec = find(SENTENCE_SIMILARITY, TAB)
    shown, table, losses = "", None, list[float]()
    for event in follow(context, spec, ask, request):
        if isinstance(event, Word2VecStep):
            losses.append(event.loss)
            forming = words_show.learning(event.epoch, event.epochs, losses, event.places)
            yield forming, gr.skip(), gr.skip(), gr.skip()
        elif isinstance(event, Word2VecDone):
            shown, table = _shown(ask, event, losses), event.table
            yield gr.skip(), gr.skip(), gr.skip(), gr.skip()
        elif isinstance(event, Finished):
            status = result_line(event, both("result.seed", seed=ask.seed))
            yield shown, status, python(spec, ask, event), table
        else:
            yield gr.skip(), waiting_line(event) or gr.skip(), gr.skip(), gr.skip()


def _shown(ask: Word2VecRequest, done: Word2VecDone, losses: list[float]) -> str:
    """The pair of words, their neighbours, the sentences, and what is to be said about them."""
    parts: list[str] = []
    if done.pair is not None:
        parts.append(pair(done.pair, both(f"{TAB}.pair", first=ask.word_a, second=ask.word_b)))
    parts.append(words_show.before_and_after(done.before, done.neighbours))
    if done.similarities:
        cosine = done.similarities.cosines[0][1]
        key = f"{TAB}.no_vector" if math.isnan(cosine) else f"{TAB}.sentences"
        parts.append(f"<p>{both(key, cosine=number(cosine))}</p>")
    if done.unknown:
        known = ", ".join(done.vocabulary[:OFFERED])
        unknown = ", ".join(done.unknown)
        parts.append(note(both(f"{TAB}.unknown", unknown=unknown, known=known)))
    if done.other_seed:
        learned = sum(map(len, training_sentences(ask.corpus)))
        parts.append(note(both(f"{TAB}.noise", words=f"{learned:,}")))
        parts.append(words_show.other_seed(done.neighbours, done.pair, done.other_seed))
    parts += [words_show.word_map(done.places), words_show.loss_curve(losses)]
    return "".join(parts)
