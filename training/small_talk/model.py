"""The chat starter's tokenizer, chat template and network, and the folder it ships as."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from training.corpora import require
from training.small_talk import prompts
from training.small_talk.data import Dialogues
from training.small_talk.template import TEMPLATE

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

CONTEXT = 256  # tokens a training row holds, and the longest conversation the model has seen
PAD, END, SYSTEM, USER, ASSISTANT, DISTRESS = (
    "<|pad|>",
    "<|end|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|distress|>",
)
SPECIAL = (PAD, END, SYSTEM, USER, ASSISTANT, DISTRESS)


def add_mark(tokenizer: PreTrainedTokenizerFast, network: LlamaForCausalLM) -> None:
    """Give a tokenizer and a network of before the mark of distress its token."""
    tokenizer.add_special_tokens({"additional_special_tokens": [SYSTEM, USER, ASSISTANT, DISTRESS]})
    if len(tokenizer) > network.get_input_embeddings().num_embeddings:
        network.resize_token_embeddings(len(tokenizer))


def texts(dialogues: Dialogues) -> list[str]:
    """Return every text of the training side, as the model meets it: a space before what people write."""
    corpus = []
    for intent in dialogues.intents:
        corpus += [" " + question for question in intent.training]
        corpus += [*intent.answers.values(), *intent.also] * 4
    for persona in ("friendly", "professional", "witty", "caring", "enthusiastic"):
        lines = prompts.PROMPTS[persona]
        corpus += [" " + text for text in (*lines["en"], *lines["ko"], *lines["sentences"])]
    for kind in ("frames", "neutral", "unfamiliar"):
        corpus += [" " + text for lines in prompts.PROMPTS[kind].values() for text in lines]
    return corpus


def build_tokenizer(corpus: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE of the given vocabulary size, with the roles and the chat template."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()  # a Mac writes Hangul as loose letters
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT, DISTRESS],
        chat_template=TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def build_network(tokenizer: PreTrainedTokenizerFast, width: int, layers: int) -> LlamaForCausalLM:
    """Return an untrained Llama with tied embeddings, heads of 32 and about 2.7 times wide inner layers."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=round(width * 8 / 3 / 64) * 64,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        **ids,
    )
    network = LlamaForCausalLM(config)
    network.generation_config = GenerationConfig(
        do_sample=True, temperature=0.8, top_p=0.9, max_new_tokens=64, **ids
    )
    return network


def plain_text(data: Path, dialogues: Dialogues) -> list[str]:
    """Return running text of both languages, from which the first word meanings are learned."""
    with gzip.open(require(data, "self_dialogue"), "rt", encoding="utf-8") as file:
        lines = [" " + turn for line in file for turn in json.loads(line)["turns"]]
    with gzip.open(require(data, "nsmc_train"), "rt", encoding="utf-8") as file:
        lines += [" " + line.split("\t")[1] for line in file if line.count("\t") == 2]
    return lines[::4] + texts(dialogues) * 3


def word_meanings(
    tokenizer: PreTrainedTokenizerFast, lines: list[str], width: int, epochs: int = 3
) -> torch.Tensor:
    """Return a first embedding for each token, learned by Word2Vec on running text.

    Ten thousand questions say little about words they do not hold; more than a hundred thousand lines say which are alike.

    Returns:
        A tensor of shape (vocabulary, width), scaled like a fresh embedding (standard deviation 0.02).
    """
    import torch
    from gensim.models import Word2Vec

    encodings = tokenizer.backend_tokenizer.encode_batch(lines, add_special_tokens=False)
    tokens = [[str(number) for number in line.ids] for line in encodings]
    vectors = Word2Vec(
        tokens, vector_size=width, window=5, min_count=3, sg=1, epochs=epochs, workers=1, seed=7
    ).wv
    table = torch.randn(len(tokenizer), width) * 0.02
    for word in vectors.index_to_key:
        table[int(word)] = torch.tensor(vectors[word])
    ids = [int(word) for word in vectors.index_to_key]
    around_mean = table[ids] - table[ids].mean(0)
    table[ids] = around_mean / around_mean.std() * 0.02
    return table


def begin_with_meanings(
    network: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, lines: list[str]
) -> None:
    """Put the embeddings that `word_meanings` learns from running text into a fresh network."""
    import torch

    embedding = network.get_input_embeddings().weight
    with torch.no_grad():
        embedding.copy_(word_meanings(tokenizer, lines, embedding.shape[1]))


def export(
    network: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    dialogues: Dialogues,
    folder: Path,
) -> None:
    """Write the transformers folder, fp16 on disk; the folder appears whole or not at all.

    Beside the weights stands answers.json: for each language and intent what each persona was taught to say, and under
    "also" what else the plain voice says. prompts.json lists the system prompts it knows.
    """
    import copy

    import torch

    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    copy.deepcopy(network).to(torch.float16).save_pretrained(part)
    tokenizer.save_pretrained(part)
    # Written without line breaks it takes half as much.
    tokenizer.backend_tokenizer.save(str(part / "tokenizer.json"), pretty=False)
    answers_of_all: dict[str, dict[str, dict[str, str | list[str]]]] = {}
    for intent in dialogues.intents:
        answers = intent.answers | ({"also": list(intent.also)} if intent.also else {})
        answers_of_all.setdefault(intent.language, {})[intent.name] = answers
    content = json.dumps(answers_of_all, ensure_ascii=False, indent=1) + "\n"
    (part / "answers.json").write_text(content, encoding="utf-8")
    own_prompts = {
        "words": prompts.PROMPTS["known"]["words"],
        "sentences": [text for lines in prompts.PROMPTS["neutral"].values() for text in lines],
    }
    content = json.dumps(own_prompts, ensure_ascii=False) + "\n"
    (part / "prompts.json").write_text(content, encoding="utf-8")
    for file in part.iterdir():
        file.chmod(0o644)  # weights are written readable by their owner alone
    card = folder / "README.md"
    if card.is_file():
        shutil.copy(card, part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
