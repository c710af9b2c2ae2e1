"""Words: ask trained vectors, and train vectors of one's own.

words_ask.py    nearest words, analogies, odd one out, a map
words_train.py  Word2Vec on one's own text, watched as it learns
words_own.py    a person's vectors: saved, loaded, kept for the session
words_show.py   maps and tables as HTML
"""

import gradio as gr

from tabs.sentence_similarity.words import own_vectors as words_own
from tabs.sentence_similarity.words import questions as words_ask
from tabs.sentence_similarity.words import training as words_train
from tabs.shared.context import Context
from tabs.shared.strings import t


def build(context: Context) -> None:
    """Lay the questions out, the training folded below them."""
    own = words_own.state()
    words_ask.build(context, own)
    with gr.Accordion(t("word2vec.title"), open=False, elem_id="word2vec"):
        words_train.build(context, own)
