"""Start and memory against an empty four-tab Gradio app: `python -m tests.bench.start [--repo DIR]`.

The two are started in turn, five times each, after one start of each that is not counted: it fills
the file cache and compiles what is not compiled yet. Printed are the medians and their ratio.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.conftest import ROOT, free_port

EMPTY = """
import sys, gradio as gr
with gr.Blocks(analytics_enabled=False) as demo:
    with gr.Tabs():
        for name in ("one", "two", "three", "four"):
            with gr.Tab(name):
                gr.Markdown(name)
demo.queue(api_open=False).launch(server_port=int(sys.argv[1]), quiet=True)
"""
COMMANDS = {"empty": ["-c", EMPTY], "GenLab": ["demo.py", "--port"]}
RUNS = 5
SETTLE = 5  # seconds from the first page to the look at the memory


class Start(NamedTuple):
    """One start: until the page was there, seconds and seconds of processor time; then memory.

    Processor time says more than the clock on a machine that is busy with other work. Memory is
    resident, in MiB, after SETTLE.
    """

    seconds: float
    processor: float
    mebibytes: float


def start(command: list[str], repo: Path) -> Start:
    """Start an app in a process of its own, wait for its page, look at its memory and end it.

    Raises:
        RuntimeError: it ended before there was a page.
    """
    port, environment = free_port(), dict(os.environ)
    environment.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # with it GenLab alone is compiled anew each time
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command, str(port)],
        cwd=repo,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        while not answers(f"http://127.0.0.1:{port}/"):
            if process.poll() is not None:
                raise RuntimeError(f"it ended with {process.returncode} before there was a page")
            time.sleep(0.02)
        seconds, running = time.perf_counter() - began, psutil.Process(process.pid)
        processor = sum(running.cpu_times()[:2])
        time.sleep(SETTLE)
        return Start(seconds, processor, running.memory_info().rss / 2**20)
    finally:
        process.kill()
        process.wait()


def answers(address: str) -> bool:
    """Whether a whole page comes from an address."""
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return bool(answer.read())
    except OSError:
        return False


def line(what: str, unit: str, values: dict[str, list[float]]) -> str:
    """A line of the report: each app's median with its least and most, and their ratio."""
    medians = {name: statistics.median(runs) for name, runs in values.items()}
    apps = ", ".join(
        f"{name} {medians[name]:.2f} {unit} ({min(runs):.2f} to {max(runs):.2f})"
        for name, runs in values.items()
    )
    return f"{what}: {apps}, ratio {medians['GenLab'] / medians['empty']:.2f} (n={RUNS})"


def main() -> None:
    """Start both in turn and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo", type=Path, default=ROOT, help="the checkout to measure")
    repo = parser.parse_args().repo
    starts: dict[str, list[Start]] = {name: [] for name in COMMANDS}
    for turn in range(RUNS + 1):
        for name, command in COMMANDS.items():
            result = start(command, repo)
            if turn:
                starts[name].append(result)
    for index, (what, unit) in enumerate(
        [("start to first page", "s"), ("... processor time", "s"), ("memory, idle", "MiB")]
    ):
        print(line(what, unit, {name: [one[index] for one in starts[name]] for name in starts}))


if __name__ == "__main__":
    main()
