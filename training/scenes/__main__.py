"""python -m training.scenes: trains the image starter from nothing, or on from its weights.

Stages: the autoencoder, the text model by itself, then text model and UNet together. Each resumes from the run folder. A GPU
needs minutes, a CPU hours; `--pictures` and `--autoencoder-steps` set how much is enough.
"""

import argparse
import math
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline

from models.weights.sources import STARTERS
from training.scenes.autoencoder import polish_decoder, train_autoencoder
from training.scenes.diffusion import Plan, Trainer
from training.scenes.export import load_pipeline
from training.scenes.reading import teach_reading
from training.scenes.text import new_tokenizer

FRESH_READING_STEPS = 700
STARTER = STARTERS / "scenes"


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.scenes", description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/scenes"), help="checkpoints, sheets")
    parser.add_argument("--out", type=Path, default=STARTER, help="the diffusers folder to write")
    parser.add_argument("--init-from", type=Path, help="start from a finished folder's weights")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's own")
    parser.add_argument("--autoencoder-steps", type=int, default=2600)
    parser.add_argument("--decoder-steps", type=int, default=1200, help="polish the decoder alone")
    parser.add_argument("--reading-steps", type=int, help="the text model by itself (fresh: 700)")
    parser.add_argument("--pictures", type=int, default=200_000, help="the UNet's training length")
    parser.add_argument("--minutes", type=float, default=math.inf, help="its limit in time")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--bank", type=int, default=8_000, help="pictures drawn at the start")
    parser.add_argument("--checkpoint-steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-sheets", action="store_true", help="no sample sheets on the way")
    parser.add_argument("--export-only", action="store_true", help="write the run's weights, stop")
    return parser.parse_args(words)


def trained_autoencoder(options: argparse.Namespace, device: torch.device) -> AutoencoderKL:
    """The finished folder's autoencoder, or the run's own."""
    if options.init_from:
        model = load_pipeline(options.init_from).vae
    else:
        model = train_autoencoder(options.run, options.autoencoder_steps, device, options.seed)
    if options.decoder_steps and not options.init_from:
        polish_decoder(model.to(device), options.run, options.decoder_steps, options.seed)
    return model.to(device).eval().requires_grad_(False)


def begin(trainer: Trainer, pipeline: StableDiffusionPipeline | None, steps: int | None) -> None:
    """Takes over a finished pipeline's weights, and teaches the text model to read first."""
    if pipeline:
        trainer.start_from(pipeline.text_encoder, pipeline.unet)
        trainer.scaling_factor = pipeline.vae.config.scaling_factor
    steps = (0 if pipeline else FRESH_READING_STEPS) if steps is None else steps
    if steps:
        share = teach_reading(trainer.model.text_encoder, trainer.tokenizer, steps)
        print(f"reading: {share:.1%} of a caption's facts right", flush=True)
        trainer.start_from(trainer.model.text_encoder, trainer.model.unet)


def main(words: list[str] | None = None) -> None:
    """Trains as the command line says."""
    options = arguments(words)
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = torch.device(options.device)
    plan = Plan(
        steps=options.pictures // options.batch,
        minutes=options.minutes,
        batch=options.batch,
        learning_rate=options.learning_rate,
        bank=options.bank,
        checkpoint_steps=options.checkpoint_steps,
        seed=options.seed,
        sheets=not options.no_sheets,
    )
    autoencoder = trained_autoencoder(options, device)
    pipeline = load_pipeline(options.init_from) if options.init_from else None
    tokenizer = pipeline.tokenizer if pipeline else new_tokenizer()
    trainer = Trainer(options.run, autoencoder, tokenizer, plan)
    if not trainer.resume():
        begin(trainer, pipeline, options.reading_steps)
    if options.export_only:
        trainer.export(options.out)
    else:
        trainer.train(options.out)


if __name__ == "__main__":
    main()
