"""The similarity tab: two sentences first; many, and words, each in a tab of its own.

encoders.py  which encoder, and what can be said of it
compare.py   two sentences, and the endpoint for programs
many.py      every sentence with every other
words.py     Word2Vec on one's own text
show.py      cosines as HTML
"""

import gradio as gr

from tabs.context import Context
from tabs.parts import inner_tab
from tabs.sentence_similarity import compare, many, words

PARTS = {"two": compare.build, "many": many.build, "words": words.build}


def build(context: Context) -> None:
    """Lay the parts out side by side as tabs."""
    with gr.Tabs(elem_id="sentence_similarity-parts", overflow_behavior="wrap"):
        for name, build_part in PARTS.items():
            with inner_tab(context, f"sentence_similarity.{name}"):
                build_part(context)
