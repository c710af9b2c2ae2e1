"""The Python behind the marked words: what follows once a classifier is loaded and `split` is there."""

from models.sentiment.requests import GOOD_ERROR, STEPS, TOKENS_AT_ONCE, AttributionRequest

COMMON = """
pieces, at = [], 0
for piece in {pieces}:
    at = text.index(piece, at)
    encoded = tokenizer(
        piece,
        truncation=True,
        max_length=limit,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    pieces.append((at, piece, encoded))
    at += len(piece)


def probabilities(ids, mask=None):
    logits = model(input_ids=ids, attention_mask=mask).logits.float()
    return {scores}


def score(ids):
    with torch.no_grad():
        return probabilities(torch.tensor([ids], device=model.device))[0]


total = sum(len(encoded["input_ids"]) for _, _, encoded in pieces)
summed = sum(score(e["input_ids"]) * len(e["input_ids"]) for _, _, e in pieces)
labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
target = {target}
spans = [m.span() for m in re.finditer(r"\\S+", text)]
values = [0.0] * len(spans)
"""

GRADIENTS = """
ends = [end for _, end in spans]
layer = model.get_input_embeddings()
nothing = [tokenizer.mask_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id]
nothing = next((i for i in [*nothing, tokenizer.eos_token_id] if i is not None), 0)
gradients = LayerIntegratedGradients(lambda ids, mask: probabilities(ids, mask)[:, target], layer)
for begin, piece, encoded in pieces:
    ids = torch.tensor([encoded["input_ids"]], device=model.device)
    mask = torch.ones_like(ids)
    special = torch.tensor([encoded["special_tokens_mask"]], device=model.device).bool()
    masked = torch.where(special, ids, nothing)
    with torch.no_grad():
        embedded = layer(masked)
        with layer.register_forward_hook(lambda *_: embedded):
            baseline = probabilities(ids, mask)[0, target].item()
    for steps in {steps}:  # more as long as the completeness error is too large
        found = gradients.attribute(
            ids,
            baselines=masked,
            additional_forward_args=(mask,),
            n_steps=steps,
            internal_batch_size=max(1, {at_once} // ids.shape[1]),
        )
        shares = found[0].sum(-1).tolist()
        if abs(sum(shares) - score(encoded["input_ids"])[target].item() + baseline) <= {good}:
            break
    for share, is_special, (a, b) in zip(shares, special[0], encoded["offset_mapping"]):
        word = bisect_right(ends, begin + max(a, b - 1))
        if not is_special and word < len(spans):
            values[word] += share * ids.shape[1] / total
"""

LEFT_OUT = """
begins = [begin for begin, _, _ in pieces]
for word, (a, b) in enumerate(spans):
    begin, piece, encoded = pieces[bisect_right(begins, a) - 1]
    left = f"{piece[: a - begin].rstrip()} {piece[b - begin :].lstrip()}".strip()
    old, new = encoded["input_ids"], tokenizer(left, truncation=True, max_length=limit)["input_ids"]
    without = summed - score(old) * len(old) + score(new) * len(new)
    without = without / (total - len(old) + len(new))
    values[word] = (summed / total - without)[target].item()
"""

SHOW = """
print(f"{(summed / total)[target].item():.6f}  {labels[target]}")
for (a, b), value in zip(spans, values):
    print(f"{value:+.6f}  {text[a:b]}")
"""


def body(request: AttributionRequest, scores: str, long: bool) -> str:
    """The rest of the script, after the model is loaded.

    Args:
        request: what was asked.
        scores: the expression that makes probabilities of `logits`.
        long: whether the text may need cutting, by the script's own `split`.
    """
    room = "limit - tokenizer.num_special_tokens_to_add()"
    known = f"labels.index({request.label!r})"
    filled = COMMON.replace("{pieces}", f"split(text, {room})" if long else "[text]")
    filled = filled.replace("{scores}", scores)
    filled = filled.replace("{target}", known if request.label else "int(summed.argmax())")
    if request.method == "leave_out":
        return filled + LEFT_OUT + SHOW
    way = GRADIENTS.replace("{steps}", repr(STEPS)).replace("{at_once}", str(TOKENS_AT_ONCE))
    return filled + way.replace("{good}", str(GOOD_ERROR)) + SHOW
