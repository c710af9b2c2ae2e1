"""The similarity tab: two sentences first; many, and words, each in a tab of its own.

encoders.py  which encoder, and what can be said of it
compare.py   two sentences, by one encoder or several
verdicts.py  what encoders say of a pair, in proportion to pairs of known likeness
many.py      every sentence with every other
maps.py      groups, map and heatmap of many sentences
search.py    the lines nearest to a query
words.py     Word2Vec on one's own text
show.py      cosines as HTML
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
