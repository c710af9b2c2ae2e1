"""What a streamed token costs the running page: Gradio, its queue, the job and the openai package."""

import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psutil

from tests.conftest import start_server
from tests.page_calls import ChatPage
from tests.stub_server import DONE, StubServer, chunk

TOKENS = 500
RUNS = 3
IDLE = 3  # seconds without a request
PACES = {"as fast as it can": 0.0, "50 tokens a second": 0.02}  # seconds between two tokens
BARE = """
import sys, time, openai
client = openai.OpenAI(api_key="x", base_url=sys.argv[1])
for _ in range(int(sys.argv[2]) + 1):
    began = time.process_time()
    turns = [{"role": "user", "content": "x"}]
    for _ in client.chat.completions.create(model="m", messages=turns, stream=True):
        pass
    print(time.process_time() - began)
"""  # the first answer, which warms up, is the stub's first: a short one


def stream(tokens: int, pace: float) -> list[str | float]:
    """A stream of so many tokens."""
    pieces: list[str | float] = []
    for number in range(tokens):
        pieces += [chunk(f"word{number} "), pace] if pace else [chunk(f"word{number} ")]
    return [*pieces, chunk(None, end="stop"), DONE]


def bare(pace: float) -> list[float]:
    """The same of a process that reads the same stream with the openai package alone."""
    with StubServer((200, stream(20, 0)), (200, stream(TOKENS, pace))) as stub:
        command = [sys.executable, "-c", BARE, stub.url, str(RUNS)]
        output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return [1000 * float(seconds) / TOKENS for seconds in output.split()[1:]]


def cpu_seconds(process: psutil.Process) -> float:
    """Seconds on the processor so far."""
    times = process.cpu_times()
    return times.user + times.system


def cost(pace: float) -> list[float]:
    """Milliseconds of processor time a token, beyond what the page's process takes when idle."""
    result: list[float] = []
    with tempfile.TemporaryDirectory() as folder, StubServer((200, stream(20, 0))) as stub:
        running = start_server(Path(folder), HF_HUB_OFFLINE="1")
        process = psutil.Process(running.process.pid)
        try:
            inputs = {"chat_model": "openai", "chat_base_url": stub.url}
            with closing(ChatPage(running.url, **inputs)) as page:
                page.send("x")
                stub.answers[:] = [(200, stream(TOKENS, pace))]
                for _ in range(RUNS):
                    before = cpu_seconds(process)
                    time.sleep(IDLE)
                    idle, before, began = (
                        cpu_seconds(process) - before,
                        cpu_seconds(process),
                        time.time(),
                    )
                    assert page.send("x")["success"]
                    idle *= (time.time() - began) / IDLE
                    result.append(1000 * (cpu_seconds(process) - before - idle) / TOKENS)
        finally:
            running.process.kill()
            running.process.wait()
    return result


def main() -> None:
    """Print the figures."""
    for name, pace in PACES.items():
        whole, alone = statistics.median(cost(pace)), statistics.median(bare(pace))
        print(
            f"the running page, a token streamed {name}: {whole:.2f} ms of processor time beyond the "
            f"idle page's, the openai package alone {alone:.2f} ms (medians of {RUNS} answers of {TOKENS} tokens)",
            flush=True,
        )


if __name__ == "__main__":
    main()
