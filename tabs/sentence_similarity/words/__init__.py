"""Words: ask trained vectors, and train vectors of one's own.

questions.py  nearest words, analogies, odd one out, a map
training.py   Word2Vec on one's own text, watched as it learns; its vectors saved and loaded
view.py       maps and tables as HTML
"""

import gradio as gr

from tabs.sentence_similarity.words import questions, training
from tabs.shared.context import Context
from tabs.shared.strings import t

LIFETIME = 3600  # seconds that vectors live after their visitor has left


def build(context: Context) -> None:
    """Lay the questions out, the training folded below them."""
    own = gr.State(None, time_to_live=LIFETIME)  # the visitor's WordTable
    questions.build(context, own)
    with gr.Accordion(t("word2vec.title"), open=False, elem_id="word2vec"):
        training.build(context, own)
