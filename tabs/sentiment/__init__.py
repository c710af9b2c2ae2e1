"""The sentiment tab: which feeling a text carries, and why the model says so.

one.py         one text: its classes
why.py         which words did it
file.py        every row of a file, and how right the classes are
two.py         two models on the same texts
teach*.py      classes of one's own: laid out, filled from a file, shown, used
source.py      a file or pasted lines, and the column with the texts
show.py        scores, words and parts as HTML; show_file.py: a file's
endpoint.py    the tab for programs
"""

import gradio as gr

from tabs.sentiment import endpoint, file, one, two
from tabs.sentiment.teach import training as teach
from tabs.shared.context import Context
from tabs.shared.widgets import inner_tab

PARTS = {"one": one.build, "file": file.build, "two": two.build, "teach": teach.build}


def build(context: Context) -> None:
    """Lay the parts out side by side as tabs, one text first."""
    with gr.Tabs(elem_id="sentiment-parts", overflow_behavior="wrap"):
        for name, build_part in PARTS.items():
            with inner_tab(context, f"sentiment.{name}"):
                build_part(context)
    endpoint.build(context)
