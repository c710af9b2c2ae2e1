"""Train Word2Vec on a text of one's own, see it learn, look at its words, save and load its vectors."""

import math
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, cast

import gradio as gr

from models.contract import Finished
from models.fields import MAX_SEED, draw_seed
from models.select import find
from models.tasks import WORD_VECTORS
from models.text.encodings import decode
from models.text.language import training_sentences
from models.text.language import words as words_of
from models.word_vectors.events import Word2VecDone, Word2VecStep, WordTable
from models.word_vectors.requests import Word2VecRequest
from models.word_vectors.vectors import SUFFIXES, read_table, write_table
from tabs.sentence_similarity.encoders import note, number
from tabs.sentence_similarity.words import view
from tabs.shared.context import Context
from tabs.shared.events import at_field, follow, line, result_line, show_errors, waiting_line
from tabs.shared.experiments import Experiment, Experiments
from tabs.shared.gradio_patches import save_to_cache
from tabs.shared.strings import LANGUAGES, both, t
from tabs.shared.widgets import (
    bind_stop,
    examples_box,
    how_it_works,
    problem_box,
    recipe,
    recipe_box,
    result_box,
    stop_button,
)
from tabs.shared.worked_examples import Recording, restore, worked_example

TAB = "word2vec"
EXAMPLE_WORDS = 40  # words of the vocabulary that are named when one was unknown
FORMATS = {"text": "vectors.txt", "safetensors": "vectors.safetensors"}
FEW = 1000  # words of text; with fewer the vectors are mostly chance
FOLDER = Path(__file__).parent
WORLDS = {  # texts in which words of a kind take each other's places; training/word_vectors/small_world.py
    language: (FOLDER / f"small_world_{language}.txt").read_text(encoding="utf-8")
    for language in LANGUAGES
}
COURSE = (5, 5, 1, 0, 5, 5, 1, "")  # the values of PARAMETERS for four sentences
ENOUGH = (24, 5, 1, 1, 5, 30, 1)  # for a small world, but for the words of its map
EXAMPLES = {
    "A small world: 818 sentences": (
        *(WORLDS["en"], "king", "cat", "The king rules his land.", "The cat sleeps in the barn."),
        *ENOUGH,
        "king queen prince princess man woman cat dog horse apple pear orange monday tuesday sunday "
        "guitar piano violin seoul paris london",
    ),
    "Four sentences": (
        "The king rules the land.\nThe queen rules the land.\n"
        "The dog chases the cat.\nThe cat sleeps on the sofa.",
        *("king", "queen", "The king rules.", "The cat sleeps."),
        *COURSE,
    ),
    "작은 세상: 문장 710개": (
        *(
            WORLDS["ko"],
            "왕",
            "고양이",
            "백성들이 왕 앞에서 절을 해요.",
            "고양이 한 마리가 마당에서 놀아요.",
        ),
        *ENOUGH,
        "왕 여왕 왕자 공주 아빠 엄마 고양이 강아지 토끼 사과 포도 딸기 월요일 화요일 일요일 기타 피아노 첼로 서울 파리 런던",
    ),
    "문장 네 개": (
        "왕이 나라를 다스려요.\n여왕이 나라를 다스려요.\n"
        "강아지가 고양이를 쫓아가요.\n고양이가 소파에서 자요.",
        *("왕이", "여왕이", "왕이 나라를 다스려요.", "고양이가 자요."),
        *COURSE,
    ),
}
TEXTS = ("corpus", "word_a", "word_b", "sentence_a", "sentence_b")
PARAMETERS = ("vector_size", "window", "min_count", "sg", "negative", "epochs", "seed", "words")


def _experiment(name: str, english: str, korean: str, **more: Any) -> Experiment:
    """An experiment that takes the values of an example in each language."""
    names = (*TEXTS, *PARAMETERS)
    pairs = zip(names, EXAMPLES[english], EXAMPLES[korean], strict=True)
    values = {name: en if en == ko else {"en": en, "ko": ko} for name, en, ko in pairs}
    return Experiment(name, values | more, look=f"{TAB}-result")


_WORLD, _FOUR = (
    ("A small world: 818 sentences", "작은 세상: 문장 710개"),
    ("Four sentences", "문장 네 개"),
)
EXPERIMENTS = [
    _experiment("world", *_WORLD),
    _experiment("four", *_FOUR),
    _experiment("order", *_WORLD, window=1),
]


def build(context: Context, own: gr.State) -> None:
    """Lay the training out and bind it; the vectors end up in `own`."""
    with gr.Row():
        with gr.Column():
            texts = _texts()
            problem = problem_box(TAB)
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                stop = stop_button(TAB)
            samples, below = gr.Column(), gr.Column()
            parameters = _parameters()
            controls = [*texts, *parameters]
            with samples:
                samples = [*EXAMPLES.values()]
                examples_box(TAB, samples, controls, f"{TAB}-start", [*EXAMPLES])
            with below:
                tries = Experiments(
                    "sentence_similarity.word2vec",
                    dict(zip((*TEXTS, *PARAMETERS), controls, strict=True)),
                    f"{TAB}-start",
                    EXPERIMENTS,
                )
        with gr.Column():
            example = worked_example("sentence_similarity.word2vec", _example)
            result, status = result_box(TAB, example)
            with gr.Row():
                files = _save_buttons()
                _load_button(own, status, files)
            code = recipe_box(TAB)
            how_it_works(TAB)

    def train(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _train(context, values, request)

    private: dict[str, Any] = {"api_visibility": "private"}
    job = start.click(
        at_field(train, problem),
        controls,
        [result, status, code, own, problem],
        trigger_mode="always_last",  # an experiment that is pressed in a training is not lost
        show_progress="hidden",
        **private,
    )
    tries.after(job)
    job.success(save, own, files, show_progress="hidden", **private)
    bind_stop(stop, [job], status, line(both("page.stopped")))


def _texts() -> list[gr.Textbox]:
    """The training text, and the words and sentences to look at, in the order of an example."""
    corpus = gr.Textbox(
        label=t(f"{TAB}.corpus"),
        placeholder=t(f"{TAB}.corpus_placeholder"),
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
                boxes.append(gr.Textbox(label=t(f"{TAB}.{name}"), elem_id=f"{TAB}-{name}"))
    return boxes


def _file_button(corpus: gr.Textbox) -> None:
    """A button that fills the training text from a text file, in any usual encoding."""
    button = gr.UploadButton(
        cast(str, t(f"{TAB}.file")), file_types=["text"], size="sm", elem_id=f"{TAB}-file"
    )

    def fill(path: str, request: gr.Request) -> str:
        with show_errors(request):
            return decode(Path(path).read_bytes())

    button.upload(fill, button, corpus, api_visibility="private")


def _parameters() -> list[Any]:
    """Gensim's parameters and the map's words, in the order of PARAMETERS."""

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
    context: Context, values: tuple[Any, ...], page: gr.Request
) -> Generator[tuple[Any, Any, Any, Any]]:
    """Yield (result, status line, recipe, the vectors) as the job goes on."""
    corpus, word_a, word_b, first, second, *numbers, map_words = values
    with show_errors(page):
        request = Word2VecRequest.of(
            corpus=corpus,
            word_a=word_a,
            word_b=word_b,
            sentences=[sentence for sentence in (first, second) if sentence],
            words=words_of(map_words or ""),
            **dict(zip(PARAMETERS[:-1], numbers, strict=True)),
        )
        request = request.model_copy(update={"seed": draw_seed(request.seed)})
        spec = find(WORD_VECTORS, TAB)
    result, table, losses = "", None, list[float]()
    for event in follow(context, spec, request, page):
        if isinstance(event, Word2VecStep):
            losses = [*event.losses]
            progress = view.progress(event.epoch, event.epochs, losses, event.points)
            yield progress, gr.skip(), gr.skip(), gr.skip()
        elif isinstance(event, Word2VecDone):
            result, table = result_html(request, event, losses), event.table
            yield gr.skip(), gr.skip(), gr.skip(), gr.skip()
        elif isinstance(event, Finished):
            status = result_line(event, both("result.seed", seed=request.seed))
            yield result, status, recipe(spec, request, event.placement), table
        else:
            yield gr.skip(), waiting_line(event) or gr.skip(), gr.skip(), gr.skip()


def result_html(request: Word2VecRequest, result: Word2VecDone, losses: list[float]) -> str:
    """What the training changed: that there was too little text comes first, if there was."""
    count = sum(map(len, training_sentences(request.corpus)))
    other = result.other_seed
    few = other is not None and (count < FEW or view.stability(result.neighbours, other) < 0.5)
    parts: list[str] = []
    if few:
        parts.append(note(both(f"{TAB}.noise", words=f"{count:,}")))
    parts.append(view.before_and_after(result.before, result.neighbours))
    if result.pair is not None:
        reading = both(f"{TAB}.pair", first=request.word_a, second=request.word_b)
        parts.append(f"<p>{reading}: <b>{number(result.pair)}</b></p>")
    if result.similarities:
        cosine = result.similarities.cosines[0][1]
        key = f"{TAB}.no_vector" if math.isnan(cosine) else f"{TAB}.sentences"
        parts.append(f"<p>{both(key, cosine=number(cosine))}</p>")
    if result.unknown:
        examples = ", ".join(result.vocabulary[:EXAMPLE_WORDS])
        unknown = ", ".join(result.unknown)
        parts.append(note(both(f"{TAB}.unknown", unknown=unknown, known=examples)))
    parts.append(view.word_map(result.points))
    if other and result.neighbours:
        parts.append(view.other_seed_html(result.neighbours, result.pair, other))
    parts.append(view.loss_curve(losses))
    parts.append(
        f'<p class="quiet">{both(f"{TAB}.about", words=f"{len(result.vocabulary):,}", text=f"{count:,}")}</p>'
    )
    return "".join(parts)


def example_request(language: str) -> Word2VecRequest:
    """The training of the worked example."""
    corpus, word_a, word_b, first, second, *numbers, words = EXAMPLES[_WORLD[language == "ko"]]
    return Word2VecRequest.of(
        corpus=corpus,
        word_a=word_a,
        word_b=word_b,
        sentences=[first, second],
        words=words_of(words),
        **dict(zip(PARAMETERS[:-1], numbers, strict=True)),
    )


def _example(recording: Recording) -> str:
    result = restore(Word2VecDone, recording["done"])
    return result_html(example_request(recording["language"]), result, list(recording["losses"]))


# ---------------------------------------------------------------- the vectors as files


def save(table: WordTable | None) -> list[Any]:
    """Updates of the save buttons: each holds its file, and is visible once there are vectors."""
    if table is None:
        return [gr.update(visible=False) for _ in FORMATS]
    updates: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in FORMATS.values():
            path = Path(folder) / name
            write_table(table, path)
            file = save_to_cache(path.read_bytes(), name)
            updates.append(gr.update(value=file, visible=True))
    return updates


def _save_buttons() -> list[gr.DownloadButton]:
    """A button a format, hidden until there are vectors."""
    return [
        gr.DownloadButton(
            cast(str, t(f"{TAB}.save_{name}")), visible=False, size="sm", elem_id=f"{TAB}-{name}"
        )
        for name in FORMATS
    ]


def _load_button(own: gr.State, status: gr.HTML, files: Sequence[gr.DownloadButton]) -> None:
    """A button that loads a file of vectors into the session and says how many there are.

    Args:
        own: the session's vectors.
        status: the line that says it.
        files: the save buttons, which then hold these vectors.
    """
    button = gr.UploadButton(
        cast(str, t(f"{TAB}.load")), file_types=list(SUFFIXES), size="sm", elem_id=f"{TAB}-load"
    )

    def load(path: str, request: gr.Request) -> tuple[WordTable, str]:
        with show_errors(request):
            table = read_table(Path(path))
        words, size = table.vectors.shape
        notes = [both(f"{TAB}.fault_{code}", count=f"{count:,}") for code, count in table.faults]
        sentence = both(f"{TAB}.loaded", words=f"{words:,}", size=size)
        return table, line(" ".join([sentence, *notes]))

    private: dict[str, Any] = {"api_visibility": "private"}
    upload = button.upload(load, button, [own, status], **private)
    upload.success(save, own, list(files), **private)
