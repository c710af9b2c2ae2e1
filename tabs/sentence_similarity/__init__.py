"""The similarity tab: two sentences first; many, and words, each in a tab of its own.

encoders.py  the choice of an encoder, what makes its numbers doubtful, cosines as HTML
compare.py   two sentences, by one encoder or several
many.py      every sentence with every other: groups, a map, a heatmap
search.py    the lines nearest to a query
words/       questions to word vectors, and Word2Vec on one's own text
endpoint.py  the tab for programs
"""

from tabs.sentence_similarity import compare, endpoint, many, search, words
from tabs.shared.context import Context
from tabs.shared.widgets import inner_tabs

PARTS = {"two": compare.build, "many": many.build, "search": search.build, "words": words.build}


def build(context: Context) -> None:
    """Lay the parts out side by side as tabs."""
    inner_tabs(context, "sentence_similarity", PARTS)
    endpoint.build(context)
