"""The similarity tab: two sentences first; many, and words, each in a tab of its own.

encoders.py  the choice of an encoder, and what makes its numbers doubtful
compare.py   two sentences, by one encoder or several
many.py      every sentence with every other: groups, a map, a heatmap
search.py    the lines nearest to a query
words/       questions to word vectors, and Word2Vec on one's own text
cosines.py   a cosine as HTML
endpoint.py  the tab for programs
"""

import gradio as gr

from tabs.sentence_similarity import compare, endpoint, many, search, words
from tabs.shared.context import Context
from tabs.shared.widgets import inner_tab

PARTS = {"two": compare.build, "many": many.build, "search": search.build, "words": words.build}


def build(context: Context) -> None:
    """Lay the parts out side by side as tabs."""
    with gr.Tabs(elem_id="sentence_similarity-parts", overflow_behavior="wrap"):
        for name, build_part in PARTS.items():
            with inner_tab(context, f"sentence_similarity.{name}"):
                build_part(context)
    endpoint.build(context)
