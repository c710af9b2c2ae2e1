"""The Python behind the next token's probabilities."""

from models.chat.recipe import literal, load
from models.chat.requests import NextTokenRequest
from models.contract import ModelSpec, Placement

_TABLE = """\
{load}
{ids}
with torch.inference_mode():
    logits = model(torch.tensor([ids], device=model.device)).logits[0, -1].double()
raw = torch.softmax(logits, -1)

{dials}
print(f"{{'id':>6}} {{'raw':>9}} {{'chance':>9}}  token")
for token in raw.topk({likeliest}).indices.tolist():
    print(f"{{token:6}} {{raw[token]:9.4%}} {{chance[token]:9.4%}}  {{tokenizer.decode([token])!r}}")
"""

_MESSAGE = """\
messages = {messages}
ids = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, enable_thinking=False, return_dict=True
)["input_ids"]"""

_TEXT = """\
ids = tokenizer({text})["input_ids"]"""

_DRAW = """\
scores = logits / {temperature}
{top_k}chance, order = torch.softmax(scores, -1).sort(stable=True)  # the unlikeliest first
chance[:-1][chance.cumsum(-1)[:-1] <= 1 - {top_p}] = 0  # top_p: the tail goes
chance = torch.zeros_like(raw).scatter(0, order, chance / chance.sum())
# One draw: torch.multinomial(chance, 1)"""

_GREEDY = """\
chance = (torch.arange(len(raw)) == logits.argmax().cpu()).double()  # temperature 0: the likeliest"""


def python(
    spec: ModelSpec,
    request: NextTokenRequest,
    placement: Placement,
    temperature: float,
    top_p: float,
    top_k: int,
    plain: bool = False,
) -> str:
    """The script that prints the table of the next token.

    Args:
        spec: the model.
        request: what it read.
        placement: where it ran.
        temperature: of the dials.
        top_p: of the dials.
        top_k: of the dials.
        plain: it has no chat template: a message was read as a text.
    """
    if request.as_message and not plain:
        turns = [{"role": "user", "content": request.text}]
        if request.system_prompt.strip():
            turns.insert(0, {"role": "system", "content": request.system_prompt})
        ids = _MESSAGE.format(messages=literal(turns))
    else:
        ids = _TEXT.format(text=literal(request.text))
    if request.ids:
        ids += f"\nids += {list(request.ids)}  # drawn since"
    least = f"scores[scores < scores.topk({int(top_k)}).values[-1]] = -torch.inf  # top_k\n"
    dials = _DRAW.format(temperature=temperature, top_k=least if top_k else "", top_p=top_p)
    return _TABLE.format(
        load=load(spec, placement),
        ids=ids,
        dials=dials if temperature else _GREEDY,
        likeliest=request.likeliest,
    )
