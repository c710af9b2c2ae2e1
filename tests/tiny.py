"""Real models at tiny size, saved to a folder as the real ones are. A section a task.

Libraries are imported where they are used: a test of one task does not wait for another's.
"""

import string
from pathlib import Path
from typing import Any

# ---------------------------------------------------------------- text-to-image


def stable_diffusion(folder: Path, *, scheduler: str = "dpm", safety: float | None = None) -> Path:
    """A whole StableDiffusionPipeline with random weights that draws 64 x 64 pictures.

    Args:
        folder: where it is saved, as the starter is: float16 on disk.
        scheduler: "dpm" (as the starter's) or "pndm" (as Stable Diffusion v1-4's).
        safety: a safety checker with this threshold of its cosines: -2 flags all, 2 none.
    """
    import torch
    from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    unet = UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=2,
        norm_num_groups=8,
    )
    vae = AutoencoderKL(
        block_out_channels=(16, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=64,
    )
    checker, extractor = (None, None) if safety is None else _safety_checker(safety)
    pipe = StableDiffusionPipeline(
        vae=vae.half(),
        text_encoder=CLIPTextModel(text).half(),
        tokenizer=tokenizer,
        unet=unet.half(),
        scheduler=_scheduler(scheduler),
        safety_checker=checker,
        feature_extractor=extractor,
        requires_safety_checker=safety is not None,
    )
    pipe.save_pretrained(folder)
    return folder


def clip_tokenizer(limit: int = 24) -> Any:
    """A CLIP tokenizer of single letters: every text has its tokens, one a letter."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    tokens = [
        *letters,
        *(f"{letter}</w>" for letter in letters),
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    vocab = {token: number for number, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocab, merges=[], model_max_length=limit)


def _scheduler(name: str) -> Any:
    from diffusers import DPMSolverMultistepScheduler, PNDMScheduler

    if name == "pndm":
        return PNDMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            skip_prk_steps=True,
            steps_offset=1,
        )
    return DPMSolverMultistepScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        steps_offset=1,
    )


def _safety_checker(threshold: float) -> tuple[Any, Any]:
    import torch
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    vision = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 16,
        "projection_dim": 16,
    }
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=16))
    for name in ("concept_embeds_weights", "special_care_embeds_weights"):
        torch.nn.init.constant_(getattr(checker, name), threshold)
    size = {"height": 32, "width": 32}
    extractor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size)
    return checker.half(), extractor


# ---------------------------------------------------------------- text classifiers and encoders

_WORDS = ["the", "a", "is", "was", "film", "good", "bad", "not", "and", "very", "boring"]
_WORDS += ["cat", "dog", "king", "queen", "rules", "land"]
_LETTERS = [*string.ascii_lowercase, *string.digits, *".,!?'"]
_VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_WORDS, *_LETTERS]
_VOCABULARY += [f"##{letter}" for letter in _LETTERS]


def bert_config(limit: int = 32, **fields: Any) -> Any:
    """A two-layer BERT of 32 dimensions over the tiny vocabulary, `limit` tokens long."""
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(_VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=limit,
        initializer_range=0.5,  # wide, so that different texts differ
        **fields,
    )


def save_bert(model: Any, folder: Path, limit: int = 32) -> Path:
    """Save a model over the tiny vocabulary with its tokenizer."""
    from transformers import BertTokenizer

    model.save_pretrained(folder)
    tokenizer = BertTokenizer(
        vocab={word: i for i, word in enumerate(_VOCABULARY)}, model_max_length=limit
    )
    tokenizer.save_pretrained(folder)
    return folder


def classifier(
    folder: Path, labels: tuple[str, ...] = ("negative", "positive"), **fields: Any
) -> Path:
    """A BERT classifier whose head is saved with it, as a trained one's is."""
    import torch
    from transformers import BertForSequenceClassification

    torch.manual_seed(0)
    config = bert_config(**label_options(labels), **fields)
    return save_bert(BertForSequenceClassification(config), folder)


def other_classifier(folder: Path, kind: str) -> Path:
    """A "roberta" (positions read off the ids) or "distilbert" classifier over the tiny vocabulary."""
    import torch
    from transformers import (
        DistilBertConfig,
        DistilBertForSequenceClassification,
        RobertaConfig,
        RobertaForSequenceClassification,
    )

    torch.manual_seed(0)
    labels = label_options(("negative", "positive"))
    size = {"vocab_size": len(_VOCABULARY), "initializer_range": 0.3, "pad_token_id": 0}
    if kind == "roberta":
        bert = bert_config(limit=34).to_dict() | labels | size | {"model_type": "roberta"}
        model: Any = RobertaForSequenceClassification(RobertaConfig(**bert))
    else:
        small = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
        config = DistilBertConfig(max_position_embeddings=32, **small, **labels, **size)
        model = DistilBertForSequenceClassification(config)
    return save_bert(model, folder)


def label_options(labels: tuple[str, ...]) -> dict[str, Any]:
    """The two tables of class names in a configuration."""
    return {"id2label": dict(enumerate(labels)), "label2id": {n: i for i, n in enumerate(labels)}}


def bert_base(folder: Path) -> Path:
    """A pretrained base as bert-base-uncased is: a masked language model, without a classifier."""
    import torch
    from transformers import BertForMaskedLM

    torch.manual_seed(0)
    return save_bert(BertForMaskedLM(bert_config()), folder)


def sentence_encoder(folder: Path) -> Path:
    """A sentence-transformers model: BERT, mean pooling, unit length."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    bert = Transformer(str(bert_base(folder / "bert")), max_seq_length=32)
    pooling = Pooling(bert.get_embedding_dimension(), pooling_mode="mean")
    SentenceTransformer(modules=[bert, pooling, Normalize()], device="cpu").save(str(folder))
    return folder


# ---------------------------------------------------------------- chat

_TEMPLATE = (
    "{% for turn in messages %}<{{ turn.role }}>{{ turn.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def byte_tokenizer(template: str | None = _TEMPLATE) -> Any:
    """A tokenizer of single bytes: a Korean syllable is three tokens, an emoji four."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({byte: i for i, byte in enumerate(bytes_)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<end>",
        pad_token="<pad>",
        additional_special_tokens=["<system>", "<user>", "<assistant>"],
        chat_template=template,
    )


def llama(folder: Path, *, window: int = 256, ends: tuple[int, ...] = ()) -> Path:
    """A Llama that chats in random bytes.

    Args:
        folder: where it is saved.
        window: tokens it can see.
        ends: ids that end an answer besides <end>.
    """
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=window,
        initializer_range=0.3,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        do_sample=True,  # `transformers serve` takes a temperature only then
        eos_token_id=[tokenizer.eos_token_id, *ends],
        pad_token_id=tokenizer.pad_token_id,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def gpt2(folder: Path) -> Path:
    """A GPT-2 as the original is: no chat template, it continues a text."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    tokenizer = byte_tokenizer(template=None)
    ends = {"bos_token_id": tokenizer.eos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=128, n_embd=32, n_layer=2, n_head=2, **ends
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
