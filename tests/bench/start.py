"""Start and memory against an empty four-tab Gradio app: `python -m tests.bench.start`."""

import statistics
import subprocess
import sys
import time
import urllib.request

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
RUNS = 5


def start(command: list[str]) -> tuple[float, float]:
    """Seconds to the first page and resident memory (MiB) five seconds after it."""
    port = free_port()
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command, str(port)], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
                    answer.read()
                break
            except OSError:
                time.sleep(0.02)
        seconds = time.perf_counter() - began
        time.sleep(5)
        return seconds, psutil.Process(process.pid).memory_info().rss / 2**20
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Alternate the two, so that a busy moment hits both; print medians and their ratios."""
    pairs = [(start(["-c", EMPTY]), start(["demo.py", "--port"])) for _ in range(RUNS)]
    for index, (name, unit) in enumerate([("start to first page", "s"), ("memory, idle", "MiB")]):
        empty = statistics.median(p[0][index] for p in pairs)
        genlab = statistics.median(p[1][index] for p in pairs)
        ratio = statistics.median(p[1][index] / p[0][index] for p in pairs)
        print(
            f"{name}: empty {empty:.1f} {unit}, GenLab {genlab:.1f} {unit}, ratio {ratio:.2f} (n={RUNS})"
        )


if __name__ == "__main__":
    main()
