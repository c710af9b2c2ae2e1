"""The sentiment tab: which feeling a text carries, and why the model says so.

one_text.py     one text: its classes, and which words did it
table.py        every row of a file, and how right the classes are
two_models.py   two models on the same texts
teach/          classes of one's own
scores_html.py  scores, words and pieces as HTML
endpoint.py     the tab for programs
"""

from tabs.sentiment import endpoint, one_text, table, teach, two_models
from tabs.shared.context import Context
from tabs.shared.widgets import inner_tabs

PARTS = {
    "one": one_text.build,
    "file": table.build,
    "two": two_models.build,
    "teach": teach.build,
}


def build(context: Context) -> None:
    """Lay the parts out side by side as tabs, one text first."""
    inner_tabs(context, "sentiment", PARTS)
    endpoint.build(context)
