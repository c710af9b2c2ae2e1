"""The Python behind an answer of a chat model, the same over HTTP, and the Python behind a next token."""

from collections.abc import Iterable, Mapping
from pprint import pformat
from typing import Any

from models.chat import llama_recipe
from models.chat.events import Note
from models.chat.requests import (
    ChatRequest,
    NextTokenRequest,
    completion_arguments,
    completion_messages,
    generate_arguments,
)
from models.contract import ModelSpec, Placement
from models.serving import App, HttpCall, Say

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
        {arguments},
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

_PREFIX = """
# It goes on from the beginning of an answer that is there already.
prefix = tokenizer({prefix!r}, add_special_tokens=False)["input_ids"] + {ids}
inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([prefix])], -1)
inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])"""

_BY_SERVER = """\
from openai import OpenAI

client = {client}
messages = {messages}
response = client.chat.completions.create(
    model={model!r},
    messages=messages,
    {arguments},
)
for choice in response.choices:
    print(choice.message.content)
"""

_CLIENT = (
    "OpenAI()  # takes OPENAI_API_KEY, and OPENAI_BASE_URL for another server, from the environment"
)
_CLIENT_AT = "OpenAI(base_url={!r})  # takes OPENAI_API_KEY from the environment"


def python(
    spec: ModelSpec, request: ChatRequest, placement: Placement, notes: Iterable[Note] = ()
) -> str:
    """The script behind an answer.

    Args:
        spec: the model.
        request: with the seed of the answer and, for a hosted model, its model_name.
        placement: where it ran.
        notes: of ChatDone: old turns left out, parameters not used, little room.
    """
    if spec.engine.endswith(":LlamaCppChat"):
        return llama_recipe.python(spec, request, notes)
    notes = list(notes)
    values: dict[str, Any] = {note.code: note.value for note in notes}
    start = values.get("turns_left_out", 0)
    if spec.hosted:
        unsupported = [str(note.value) for note in notes if note.code == "parameter_left_out"]
        turns = completion_messages(request, start, "system_as_user" in values)
        if "limit_lowered" in values:
            request = request.model_copy(update={"max_new_tokens": values["limit_lowered"]})
        return _BY_SERVER.format(
            client=_CLIENT_AT.format(request.base_url) if request.base_url else _CLIENT,
            messages=_messages(turns),
            model=request.model_name,
            arguments=_arguments(completion_arguments(request, unsupported), 4),
        )
    if "plain_continuation" in values:
        inputs = _CONTINUE.format(text=_literal(request.messages[-1].content))
    else:
        inputs = _CHAT.format(messages=_messages(request.turns(start)))
    if request.prefix or request.prefix_ids:
        inputs += _PREFIX.format(prefix=request.prefix, ids=list(request.prefix_ids))
    room = values.get("room", request.max_new_tokens)
    return _LOCAL.format(
        load=_load(spec, placement),
        inputs=inputs,
        seeds=[request.seed + k for k in range(request.num_return_sequences)],
        arguments=_arguments(generate_arguments(request, room), 8),
    )


def _load(spec: ModelSpec, placement: Placement) -> str:
    """The lines that bring `tokenizer` and `model` into memory."""
    starter = spec.source.startswith("starter:")
    return _LOAD.format(
        threads=f"torch.set_num_threads({placement.threads})\n" if placement.threads else "",
        source=f"models/starter/{spec.name}" if starter else spec.name,
        where="  # run this in GenLab's folder" if starter else "",
        dtype=placement.dtype,
        device=placement.device,
    )


def _arguments(arguments: Mapping[str, Any], indent: int) -> str:
    separator = ",\n" + " " * indent
    return separator.join(f"{name}={value!r}" for name, value in arguments.items())


def _messages(turns: list[dict[str, str]]) -> str:
    return "[\n" + "".join(f"    {_literal(turn, 4)},\n" for turn in turns) + "]"


def _literal(value: Any, indent: int = 0) -> str:
    """A value as Python, its lines indented."""
    text = pformat(value, width=96, sort_dicts=False)
    return text.replace("\n", "\n" + " " * indent)


# ---------------------------------------------------------------- over HTTP

_MESSAGE_CLASS = """\
class Message(BaseModel):
    role: str  # {say}
    content: str
"""

_CREATE = """\
response = client.chat.completions.create(
    model={model},
    messages=messages,
    {arguments},
)
"""

_SHOW_CHOICES = """\
for choice in response.choices:
    print(choice.message.content)
"""

_APP_LOCAL = """\
{threads}{inputs}
torch.manual_seed(request.seed)  # {say}
output = model.generate(
    **inputs.to(model.device),
    do_sample=request.temperature > 0,
    temperature=request.temperature or 1.0,
    top_p=request.top_p,
    top_k=request.top_k,
    max_new_tokens=request.max_new_tokens,
)
answer = output[0, inputs["input_ids"].shape[1] :]
return {{"text": tokenizer.decode(answer, skip_special_tokens=True).rstrip("\\ufffd")}}
"""

_APP_TURNS = "messages = [message.model_dump() for message in request.messages]\n"


def call(
    spec: ModelSpec,
    request: ChatRequest,
    placement: Placement,
    say: Say,
    notes: Iterable[Note] = (),
) -> HttpCall:
    """The answer as a request over HTTP, and its model behind a server of one's own.

    Args:
        spec: the model.
        request: as in `python`.
        placement: where it ran.
        say: gives the comments.
        notes: as in `python`.
    """
    notes = list(notes)
    values: dict[str, Any] = {note.code: note.value for note in notes}
    start = values.get("turns_left_out", 0)
    if "limit_lowered" in values:
        request = request.model_copy(update={"max_new_tokens": values["limit_lowered"]})
    if spec.hosted:
        unsupported = [str(note.value) for note in notes if note.code == "parameter_left_out"]
        turns = completion_messages(request, start, "system_as_user" in values)
        return _call_of_server(request, turns, completion_arguments(request, unsupported), say)
    body: dict[str, Any] = {"model": spec.id}
    if request.system_prompt:
        body["system_prompt"] = request.system_prompt
    body["messages"] = [message.model_dump() for message in request.messages[start:]]
    dials = ("temperature", "top_p", "top_k", "max_new_tokens", "seed")
    body |= {name: getattr(request, name) for name in dials}
    usual = {"num_return_sequences": 1, "prefix": "", "prefix_ids": ()}
    for name, value in usual.items():
        if getattr(request, name) != value:
            body[name] = getattr(request, name)
    client = ""
    if not request.prefix_ids:  # OpenAI's API has text only
        turns = completion_messages(request, start)
        client = _CREATE.format(
            model=repr(spec.id),
            arguments=_arguments(completion_arguments(request), 4),
        )
        client = f"messages = {_messages(turns)}\n{client}{_SHOW_CHOICES}"
    return HttpCall(
        "/api/v1/chat", body, client=client, app=_app(spec, request, placement, say, values)
    )


def _call_of_server(
    request: ChatRequest, turns: list[dict[str, str]], arguments: dict[str, Any], say: Say
) -> HttpCall:
    extra = arguments.pop("extra_body", {})
    body = {"model": request.model_name, "messages": turns, **arguments, **extra}
    limit = "max_tokens" if "max_tokens" in body else "max_completion_tokens"
    names = {
        "temperature": "temperature",
        "top_p": "top_p",
        "seed": "seed",
        limit: "max_new_tokens",
    }
    names = {name: field for name, field in names.items() if name in body}
    kinds = {"temperature": "float", "top_p": "float"}
    fields = [
        f"{field}: {kinds.get(field, 'int')} = {getattr(request, field)!r}"
        for field in names.values()
    ]
    server = _CLIENT_AT.format(request.base_url) if request.base_url else _CLIENT
    create = _CREATE.format(
        model=repr(request.model_name),
        arguments=",\n    ".join(f"{name}=request.{field}" for name, field in names.items()),
    )
    app = App(
        name="chat",
        load=f"from openai import OpenAI\n\nclient = {server}\n",
        classes=_MESSAGE_CLASS.format(say=say("app_roles")),
        fields=["messages: list[Message]", *fields],
        work=f'{_APP_TURNS}{create}return {{"text": response.choices[0].message.content}}',
        body={"messages": turns},
        packages="openai",
    )
    return HttpCall("/chat/completions", body, app=app, server=request.base_url)


def _app(
    spec: ModelSpec, request: ChatRequest, placement: Placement, say: Say, values: dict[str, Any]
) -> App:
    """The model behind a server of one's own."""
    start = values.get("turns_left_out", 0)
    room = values.get("room", request.max_new_tokens)
    if spec.engine.endswith(":LlamaCppChat"):
        load, work, turns = llama_recipe.app_parts(spec, request, start)
    else:
        turns = request.turns(start)
        inputs = _APP_TURNS + _CHAT.partition("\n")[2]
        if "plain_continuation" in values:
            inputs = _CONTINUE.format(text="request.messages[-1].content")
        if request.prefix or request.prefix_ids:
            inputs += _PREFIX.format(prefix=request.prefix, ids=list(request.prefix_ids))
        threads = f"torch.set_num_threads({placement.threads})\n" if placement.threads else ""
        load = _load(spec, placement).replace(threads, "")
        work = _APP_LOCAL.format(threads=threads, inputs=inputs, say=say("app_seed"))
    return App(
        name="chat",
        load=load,
        classes=_MESSAGE_CLASS.format(say=say("app_roles")),
        fields=[
            "messages: list[Message]",
            f"temperature: float = {request.temperature!r}",
            f"top_p: float = {request.top_p!r}",
            f"top_k: int = {request.top_k!r}",
            f"max_new_tokens: int = {min(request.max_new_tokens, room)!r}",
            f"seed: int = {request.seed!r}",
        ],
        work=work,
        body={"messages": turns},
        packages="xllamacpp" if "xllamacpp" in load else "torch transformers",
    )


# ---------------------------------------------------------------- the next token

_TABLE = """\
{load}
{ids}
with torch.inference_mode():
    logits = model(torch.tensor([ids], device=model.device)).logits[0, -1].double()
raw = torch.softmax(logits, -1)

{sampling}
print(f"{{'id':>6}} {{'raw':>9}} {{'chance':>9}}  token")
for token in raw.topk({likeliest}).indices.tolist():
    print(f"{{token:6}} {{raw[token]:9.4%}} {{chance[token]:9.4%}}  {{tokenizer.decode([token])!r}}")
"""

_MESSAGE_IDS = """\
messages = {messages}
ids = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, enable_thinking=False, return_dict=True
)["input_ids"]"""

_TEXT_IDS = """\
ids = tokenizer({text})["input_ids"]"""

_SAMPLING = """\
scores = logits / {temperature}
{top_k}chance, order = torch.softmax(scores, -1).sort(stable=True)  # the unlikeliest first
chance[:-1][chance.cumsum(-1)[:-1] <= 1 - {top_p}] = 0  # top_p: the tail goes
chance = torch.zeros_like(raw).scatter(0, order, chance / chance.sum())
# One draw: torch.multinomial(chance, 1)"""

_TOP_K = "scores[scores < scores.topk({top_k}).values[-1]] = -torch.inf  # top_k\n"

_GREEDY = """\
chance = (torch.arange(len(raw)) == logits.argmax().cpu()).double()  # temperature 0: the likeliest"""


def next_token_python(
    spec: ModelSpec,
    request: NextTokenRequest,
    placement: Placement,
    temperature: float,
    top_p: float,
    top_k: int,
    notes: Iterable[Note] = (),
) -> str:
    """The script that prints the table of the next token.

    Args:
        spec: the model.
        request: what it read.
        placement: where it ran.
        temperature: as in SamplingParameters.
        top_p: as there.
        top_k: as there.
        notes: of NextToken: without a chat template a message was read as a text.
    """
    if spec.engine.endswith(":LlamaCppChat"):
        return llama_recipe.next_token(spec, request, notes)
    if request.as_message and Note("plain_continuation") not in notes:
        ids = _MESSAGE_IDS.format(messages=_literal(request.turns()))
    else:
        ids = _TEXT_IDS.format(text=_literal(request.text))
    if request.ids:
        ids += f"\nids += {list(request.ids)}  # drawn since"
    draw = _SAMPLING.format(
        temperature=temperature, top_k=_TOP_K.format(top_k=top_k) if top_k else "", top_p=top_p
    )
    return _TABLE.format(
        load=_load(spec, placement),
        ids=ids,
        sampling=draw if temperature else _GREEDY,
        likeliest=request.likeliest,
    )


def next_token_call(
    spec: ModelSpec, request: NextTokenRequest, temperature: float, top_p: float, top_k: int
) -> HttpCall:
    """The table of the next token as a request over HTTP; arguments as of `next_token_python`."""
    fields = request.model_dump(exclude_defaults=True)
    sampling = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    return HttpCall("/api/v1/next-token", {"model": spec.id, **fields, **sampling})
