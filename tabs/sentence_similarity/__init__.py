"""The similarity tab: two sentences first; many, and words, each in a tab of its own.

encoders.py  the choice of an encoder, what makes its numbers doubtful, cosines as HTML
compare.py   two sentences, by one encoder or several
many.py      every sentence with every other: groups, a map, a heatmap
search.py    the lines nearest to a query
words/       questions to word vectors, and Word2Vec on one's own text
maps.py      words and sentences as points, their labels where no other one is
endpoint.py  the tab for programs
"""

from functools import partial

import gradio as gr

from tabs.sentence_similarity import compare, endpoint, many, search, words
from tabs.sentence_similarity.words import training
from tabs.shared.context import Context
from tabs.shared.widgets import inner_tabs

LIFETIME = 3600  # seconds that a visitor's own word vectors live after their visitor has left


def build(context: Context) -> None:
    """Lay the parts out side by side as tabs."""
    own = gr.State(None, time_to_live=LIFETIME)  # the visitor's WordTable
    parts = {
        "two": compare.build,
        "many": many.build,
        "search": search.build,
        "words": partial(words.build, own=own),
        "word2vec": partial(training.build, own=own),
    }
    inner_tabs(context, "sentence_similarity", parts)
    endpoint.build(context)
