"""The chat template of the chat starter, and the question it asks of a message: is it plain words of distress?"""

from pathlib import Path

from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATE = (Path(__file__).parent / "chat_template.jinja").read_text(encoding="utf-8").strip()
# As transformers sets it up.
_TEMPLATE = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(
    TEMPLATE
)
_is_distress = _TEMPLATE.make_module({"messages": []}).is_distress


def is_distress(message: str) -> bool:
    """Say whether the template marks a message: whether it holds plain words of suicide or self-harm."""
    return bool(_is_distress(message))
