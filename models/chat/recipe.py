"""The Python behind an answer of a chat model."""

from collections.abc import Iterable
from pprint import pformat
from typing import Any

from models.chat.options import generation, hosted_messages, hosted_options
from models.chat.requests import ChatRequest
from models.contract import ModelSpec, Placement

_LOAD = """\
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

{threads}source = {source!r}{where}
tokenizer = AutoTokenizer.from_pretrained(source)
model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.{dtype}).to({device!r})
"""

_LOCAL = """\
{load}
{inputs}
for seed in {seeds}:
    torch.manual_seed(seed)
    output = model.generate(
        **inputs.to(model.device),
        {options},
    )
    answer = output[0, inputs["input_ids"].shape[1] :]
    print(tokenizer.decode(answer, skip_special_tokens=True).rstrip("\\ufffd"))  # no half letter
"""

_CHAT = """\
messages = {messages}
inputs = tokenizer.apply_chat_template(
    messages,
    add_generation_prompt=True,
    enable_thinking=False,
    return_dict=True,
    return_tensors="pt",
)"""

_CONTINUE = """\
text = {text}
inputs = tokenizer(text, return_tensors="pt")  # no chat template: the text is continued"""

_BEGUN = """
# It goes on from the beginning of an answer that is there already.
begun = tokenizer({prefix!r}, add_special_tokens=False)["input_ids"] + {ids}
inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([begun])], -1)
inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])"""

_HOSTED = """\
from openai import OpenAI

client = {client}
messages = {messages}
response = client.chat.completions.create(
    model={model!r},
    messages=messages,
    {options},
)
for choice in response.choices:
    print(choice.message.content)
"""


def python(
    spec: ModelSpec, request: ChatRequest, placement: Placement, notes: Iterable[str] = ()
) -> str:
    """The script behind an answer.

    Args:
        spec: the model.
        request: with the drawn seed and, for a hosted model, its model_name.
        placement: where it ran.
        notes: of ChatDone: old turns left out, parameters not used, little room.
    """
    told = [note.partition(":") for note in notes]
    unused = [value for name, _, value in told if name == "parameter_left_out"]
    values = {name: value for name, _, value in told}
    left_out = int(values.get("turns_left_out", 0))
    if spec.hosted:
        messages = _messages(hosted_messages(request, left_out, "system_as_user" in values))
        options = hosted_options(request, unused)
        shown = ",\n    ".join(f"{name}={value!r}" for name, value in options.items())
        return _HOSTED.format(
            client=_client(request), messages=messages, model=request.model_name, options=shown
        )
    if "plain_continuation" in values:
        inputs = _CONTINUE.format(text=literal(request.messages[-1].content))
    else:
        inputs = _CHAT.format(messages=_messages(request.turns(left_out)))
    if request.prefix or request.prefix_ids:
        inputs += _BEGUN.format(prefix=request.prefix, ids=list(request.prefix_ids))
    options = generation(request, int(values.get("room", request.max_new_tokens)))
    return _LOCAL.format(
        load=load(spec, placement),
        inputs=inputs,
        seeds=[request.seed + k for k in range(request.num_return_sequences)],
        options=",\n        ".join(f"{name}={value!r}" for name, value in options.items()),
    )


def load(spec: ModelSpec, placement: Placement) -> str:
    """The lines that bring `tokenizer` and `model` into memory."""
    starter = spec.source.startswith("starter:")
    return _LOAD.format(
        threads=f"torch.set_num_threads({placement.threads})\n" if placement.threads else "",
        source=f"models/starter/{spec.name}" if starter else spec.name,
        where="  # run this in GenLab's folder" if starter else "",
        dtype=placement.dtype,
        device=placement.device,
    )


def _client(request: ChatRequest) -> str:
    if request.base_url:
        return f"OpenAI(base_url={request.base_url!r})  # takes OPENAI_API_KEY from the environment"
    return (
        "OpenAI()  # takes OPENAI_API_KEY, and OPENAI_BASE_URL for another server, "
        "from the environment"
    )


def _messages(turns: list[dict[str, str]]) -> str:
    return "[\n" + "".join(f"    {literal(turn, 4)},\n" for turn in turns) + "]"


def literal(value: Any, indent: int = 0) -> str:
    """A value as Python, its lines indented."""
    text = pformat(value, width=96, sort_dicts=False)
    return text.replace("\n", "\n" + " " * indent)
