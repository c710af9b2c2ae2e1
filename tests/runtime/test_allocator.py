"""How many heaps of the C library the app's threads have."""

import os
import platform
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has several")
THREADS = """
import ctypes, threading
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
everyone = threading.Barrier(8)

def allocate():
    libc.free(libc.malloc(4096))
    everyone.wait(60)

threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


def heaps(start, **environment):
    """How many there are in a process that starts so, and then has eight threads at once."""
    own = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    process = subprocess.run(
        [sys.executable, "-c", start + THREADS],
        cwd=ROOT,
        env=own | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return process.stdout.count("<heap nr=")


def test_all_threads_of_the_app_share_one():
    assert heaps("import demo") == 1


def test_the_environment_may_say_how_many():
    start = "from models.runtime.allocator import limit_arenas; limit_arenas()"
    assert heaps(start, MALLOC_ARENA_MAX="3") == 3
