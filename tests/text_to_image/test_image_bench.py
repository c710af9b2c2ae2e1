"""The image benchmark runs whole, at tiny size: what is ready for a GPU is not broken before it."""

import re

from tests.bench import text_to_image
from tests.gpu import architecture


def test_every_part_of_it_runs_without_a_gpu(capsys):
    every = ["--compile", "default", "--apart", "--profile", "--batch", "2"]
    text_to_image.main(["--size", "tiny", "--steps", "2", "--runs", "1", *every])
    output = capsys.readouterr().out
    ways = re.findall(r"^(.+): [\d.]+ s a picture", output, re.M)
    around = ["GenLab without loader and events", "... and without previews"]
    usual = ["plain diffusers", "GenLab", *around]
    assert ways == [
        *usual,
        *(*usual, "GenLab, default"),
        *("plain diffusers", "... channels_last", "... and fused projections"),
    ]
    assert ("GENLAB_COMPILE=default" in output, "compiling" in output) == (
        True,
        False,
    )  # never on a CPU
    assert output.count("% of the roofline") == 5
    assert "Self CPU time total" in output


def test_the_work_of_a_picture_is_v1_4s():
    assert abs(architecture.work(1) - architecture.work(0) - 1.607e12) < 1e9
    assert abs(architecture.work(50) - 82.9e12) < 0.05e12
