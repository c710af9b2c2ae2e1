"""The sentiment tab: which feeling a text carries, and why the model says so.

one.py       one text: its classes, and what each word did
teach*.py    classes of one's own: laid out, shown, used
endpoint.py  the tab for programs
"""

import gradio as gr

from tabs.context import Context
from tabs.parts import inner_tab
from tabs.sentiment import endpoint, one, teach

PARTS = {"one": one.build, "teach": teach.build}


def build(context: Context) -> None:
    """Lay the parts out side by side as tabs, one text first."""
    with gr.Tabs(elem_id="sentiment-parts", overflow_behavior="wrap"):
        for name, build_part in PARTS.items():
            with inner_tab(context, f"sentiment.{name}"):
                build_part(context)
    endpoint.build(context)
