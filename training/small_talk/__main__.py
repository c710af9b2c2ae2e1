"""Train the chat starter: ``python -m training.small_talk --data DIR``."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.weights.sources import STARTERS

STARTER = STARTERS / "small_talk"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.small_talk", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the public texts")
    parser.add_argument("--run", type=Path, default=Path("runs/small_talk"), help="checkpoints")
    parser.add_argument("--out", type=Path, default=STARTER, help="where the weights go")
    parser.add_argument("--steps", type=int, default=14_500)
    parser.add_argument("--rows", type=int, default=8, help="rows of 256 tokens a step")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--start", type=Path, help="go on from the weights of this folder")
    parser.add_argument(
        "--anchor",
        type=float,
        default=0.0,
        help="with --start: learn when to speak of distress, and stay near those weights so strongly (1)",
    )
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=6144)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--export-only", action="store_true", help="ship the last checkpoint")
    parser.add_argument("--no-compile", action="store_true", help="where there is no C++ compiler")
    parser.add_argument("--bfloat16", action="store_true", help="where the processor knows it")
    args = parser.parse_args()
    if args.anchor and not args.start:
        parser.error("--anchor needs --start, the weights to stay near to")
    return args


def main() -> None:
    """Read the data, prepare tokenizer and network, train, and write the folder."""
    args = arguments()
    from training.small_talk import data

    dialogues = data.load(args.data)

    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    from training.small_talk import loop, model, template

    torch.set_num_threads(args.threads)
    torch.manual_seed(7)
    args.run.mkdir(parents=True, exist_ok=True)
    checkpoint, words = args.run / "checkpoint.pt", args.run / "tokenizer"
    if words.is_dir() or args.start:
        tokenizer = AutoTokenizer.from_pretrained(words if words.is_dir() else args.start)
        tokenizer.chat_template = template.TEMPLATE
    else:
        tokenizer = model.build_tokenizer(model.texts(dialogues), args.vocabulary)
    if args.start:
        network = LlamaForCausalLM.from_pretrained(args.start, dtype=torch.float32)
        model.add_mark(tokenizer, network)
    else:
        network = model.build_network(tokenizer, args.width, args.layers)
    tokenizer.save_pretrained(words)
    fresh = not checkpoint.is_file()
    if fresh and not args.start:
        model.begin_with_meanings(network, tokenizer, model.plain_text(args.data, dialogues))
    plan = loop.Plan(
        args.steps,
        args.rows,
        args.rate,
        compiled=not args.no_compile,
        bfloat16=args.bfloat16,
        anchor=args.anchor,
    )
    trainer = loop.Trainer(network, tokenizer, dialogues, plan)
    size = sum(p.numel() for p in network.parameters())
    if fresh:
        trainer.save(checkpoint)
    print(f"{size / 1e6:.2f} million parameters, {len(dialogues.intents)} intents", flush=True)
    if args.export_only:
        trainer.resume(checkpoint)
    else:
        loop.train(trainer, checkpoint, log=lambda line: print(line, flush=True))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    model.export(trainer.average.module, tokenizer, dialogues, args.out)
    print(f"written: {args.out}")


if __name__ == "__main__":
    main()
