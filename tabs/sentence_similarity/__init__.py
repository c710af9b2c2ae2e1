"""The similarity tab: compare sentences by an encoder, and train Word2Vec on your own."""

import gradio as gr

from tabs.context import Context
from tabs.sentence_similarity import compare, words
from tabs.text import t


def build(context: Context) -> None:
    """Lay the tab out: the comparison first, the training folded below it."""
    compare.build(context)
    with gr.Accordion(t("word2vec.title"), open=False, elem_id="word2vec"):
        words.build(context)
