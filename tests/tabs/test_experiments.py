"""Values from an address: each is held against its control, as typed input would be."""

import gradio as gr
import pytest

from models.errors import InvalidInput
from tabs.shared.experiments import Experiments, check, parse

SLIDER = gr.Slider(0, 2, 0.8, render=False)
CHOICE = gr.Dropdown([("One", "one"), ("Two", "two")], render=False)
FREE = gr.Dropdown([("One", "one")], allow_custom_value=True, render=False)
MANY = gr.Dropdown(["a", "b"], multiselect=True, render=False)
TEXT = gr.Textbox(max_length=5, render=False)
TICK = gr.Checkbox(render=False)


@pytest.mark.parametrize(
    ("control", "text", "value"),
    [
        (SLIDER, "0.25", 0.25),
        (SLIDER, "2", 2),
        (CHOICE, "two", "two"),
        (FREE, "someone/model", "someone/model"),
        (MANY, '["a", "b"]', ["a", "b"]),
        (TEXT, "먹다", "먹다"),
        (TICK, "true", True),
        (TICK, "false", False),
    ],
)
def test_a_value_of_the_control_comes_through(control, text, value):
    assert parse("name", control, text) == value
    check("name", control, value, {})


@pytest.mark.parametrize(
    ("control", "text", "code"),
    [
        (SLIDER, "2.1", "invalid_le"),
        (SLIDER, "-1", "invalid_ge"),
        (SLIDER, "nan", "invalid_not_a_number"),
        (SLIDER, "1e999", "invalid_not_a_number"),
        (SLIDER, "two", "invalid_not_a_number"),
        (CHOICE, "three", "invalid_choice"),
        (FREE, "x" * 201, "invalid_choice"),
        (MANY, '["a", "c"]', "invalid_choice"),
        (MANY, '{"a": 1}', "invalid_input"),
        (MANY, "[", "invalid_input"),
        (TEXT, "longer than five", "invalid_too_long"),
        (TICK, "yes", "invalid_input"),
        (TEXT, {"path": "/etc/passwd"}, "invalid_not_text"),
    ],
)
def test_any_other_is_refused_by_name(control, text, code):
    with pytest.raises(InvalidInput) as refusal:
        check("name", control, parse("name", control, text), {})
    assert refusal.value.code == code
    assert refusal.value.params["field"] == "name"


def test_the_limits_are_those_of_the_chosen_model():
    check("steps", SLIDER, 8, {"maximum": 10})
    with pytest.raises(InvalidInput):
        check("steps", SLIDER, 1.5, {"maximum": 1})
    check("size", CHOICE, "big", {"choices": [("Big", "big")]})


def test_a_key_never_gets_into_a_link():
    with gr.Blocks():
        key = gr.Textbox(type="password")
        with pytest.raises(ValueError, match="key"):
            Experiments("chat", {"api_key": key}, "chat-start")
