"""Words: ask trained vectors, and train vectors of one's own.

Here: nearest words, analogies, the odd one out, a map of chosen words.
training.py   Word2Vec on one's own text, watched as it learns; its vectors saved and loaded
view.py       maps and tables as HTML
"""

from collections.abc import Generator
from typing import Any

import gradio as gr

from models.contract import Finished, ModelSpec
from models.errors import InvalidInput
from models.select import find
from models.tasks import WORD_VECTORS
from models.text.language import language_of
from models.text.language import words as words_of
from models.word_vectors.events import WordAnswer, WordTable
from models.word_vectors.requests import WordsRequest
from models.word_vectors.vectors import formula
from tabs.sentence_similarity.words.view import answer_html
from tabs.shared.context import Context
from tabs.shared.events import at_field, follow, line, result_line, show_errors, waiting_line
from tabs.shared.experiments import Experiment, Experiments
from tabs.shared.strings import both, t
from tabs.shared.widgets import (
    bind_stop,
    examples_box,
    model_note,
    problem_box,
    recipe,
    recipe_box,
    result_box,
    stop_button,
)
from tabs.shared.worked_examples import Recording, restore, worked_example

TAB = "words"
AUTO, ENGLISH, KOREAN, OWN = "auto", "genlab/words-en", "genlab/words-ko", "word2vec"
QUESTIONS = ("nearest", "analogy", "odd", "map")
EXAMPLES = (
    (ENGLISH, "nearest", "coffee"),
    (ENGLISH, "analogy", "father - man + woman"),
    (ENGLISH, "odd", "guitar piano violin table"),
    (ENGLISH, "map", "mother father sister brother january june august guitar piano violin"),
    (KOREAN, "nearest", "음악"),
    (KOREAN, "analogy", "아버지 - 남자 + 여자"),
    (KOREAN, "odd", "엄마 아빠 동생 노래"),
    (KOREAN, "map", "엄마 아빠 아들 딸 음악 노래 영상 여름 겨울 봄"),
)
EXPERIMENTS = [
    Experiment(
        "analogy",
        {
            "source": {"en": ENGLISH, "ko": KOREAN},
            "question": "analogy",
            "words": {"en": "father - man + woman", "ko": "아버지 - 남자 + 여자"},
        },
        look=f"{TAB}-result",
    ),
    Experiment(
        "senses",
        {
            "source": {"en": ENGLISH, "ko": KOREAN},
            "question": "nearest",
            "words": {"en": "king", "ko": "배우"},
        },
        look=f"{TAB}-result",
    ),
    Experiment(
        "map",
        {
            "source": {"en": ENGLISH, "ko": KOREAN},
            "question": "map",
            "words": {"en": EXAMPLES[3][2], "ko": EXAMPLES[7][2]},
        },
        look=f"{TAB}-result",
    ),
]


def build(context: Context, own: gr.State) -> None:
    """Lay the questions out and bind them.

    Args:
        context: the app's models.
        own: the visitor's WordTable, or None.
    """
    with gr.Row():
        with gr.Column():
            source = _radio("source", (AUTO, ENGLISH, KOREAN, OWN))
            question = _radio("question", QUESTIONS)
            text = gr.Textbox(
                label=t(f"{TAB}.words"),
                placeholder=t(f"{TAB}.placeholder"),
                info=t(f"{TAB}.words_info"),
                lines=1,
                max_lines=4,
                elem_id=f"{TAB}-words",
            )
            problem = problem_box(TAB)
            with gr.Row():
                start = gr.Button(t(f"{TAB}.start"), variant="primary", elem_id=f"{TAB}-start")
                stop = stop_button(TAB)
            titles = [words for _, _, words in EXAMPLES]
            examples_box(TAB, EXAMPLES, [source, question, text], f"{TAB}-start", titles)
            controls = {"source": source, "question": question, "words": text}
            tries = Experiments("sentence_similarity.words", controls, f"{TAB}-start", EXPERIMENTS)
        with gr.Column():
            example = worked_example("sentence_similarity.words", _example)
            result, status = result_box(TAB, example)
            code = recipe_box(TAB)

    def ask(request: gr.Request, *values: Any) -> Generator[Any]:
        yield from _answer(context, values, request)

    private: dict[str, Any] = {"api_visibility": "private"}
    job = gr.on(
        [start.click, text.submit],
        at_field(ask, problem),
        [source, question, text, own],
        [result, status, code, problem],
        trigger_mode="always_last",  # an example that is pressed while another is answered is not lost
        show_progress="hidden",
        **private,
    )
    tries.after(job)
    bind_stop(stop, [job], status, line(both("page.stopped")))


def _radio(name: str, values: tuple[str, ...]) -> gr.Radio:
    """A choice whose labels are the strings words.NAME_VALUE (an id's last part)."""
    return gr.Radio(
        [
            (t(f"{TAB}.{name}_{value.rpartition('/')[2].replace('-', '_')}"), value)
            for value in values
        ],
        value=values[0],
        label=t(f"{TAB}.{name}"),
        elem_id=f"{TAB}-{name}",
    )


def _request(question: str, text: str, table: WordTable | None) -> WordsRequest:
    """The question as it was typed: a sum for an analogy, else words with anything between them."""
    plus, minus = formula(text) if question == "analogy" else (words_of(text), [])
    return WordsRequest.of(
        question=question,
        words=[word for part in plus for word in words_of(part)],
        minus=[word for part in minus for word in words_of(part)],
        table=table,
    )


def _answer(
    context: Context, values: tuple[Any, ...], page: gr.Request
) -> Generator[tuple[Any, Any, Any]]:
    """Yield (result, status line, recipe) as the job goes on."""
    source, question, text, own = values
    with show_errors(page):
        if source == OWN and own is None:
            raise InvalidInput("invalid_word2vec")
        if source == AUTO:
            source = KOREAN if language_of(text) == "ko" else ENGLISH
        request = _request(question, text, own if source == OWN else None)
        spec = find(WORD_VECTORS, source)
    result = ""
    for event in follow(context, spec, request, page):
        if isinstance(event, Finished):
            yield result, result_line(event), recipe(spec, request, event.placement)
        else:
            if isinstance(event, WordAnswer):
                result = answer_html(question, text.strip(), event) + _origin(spec, request)
            yield gr.skip(), waiting_line(event) or gr.skip(), gr.skip()


def _origin(spec: ModelSpec, request: WordsRequest) -> str:
    """Where the vectors come from that gave an answer, as HTML."""
    if request.table is None:
        return model_note(spec)
    words, size = request.table.vectors.shape
    return f'<p class="quiet">{both(f"{TAB}.own", words=f"{words:,}", size=size)}</p>'


def _example(recording: Recording) -> str:
    spec = find(WORD_VECTORS, recording["model"])
    answer = restore(WordAnswer, recording["answer"])
    return answer_html("analogy", recording["words"], answer) + model_note(spec)
