"""The C library's memory allocator: all threads of the app share one heap."""

import ctypes
import os
import sys

_M_ARENA_MAX = -8  # of glibc's malloc.h


def limit_arenas() -> None:
    """Have glibc use one arena, its name for a heap; no other C library has them.

    By default threads share up to eight a core, and each keeps the most that was ever in use in it. Every drawing
    has threads of its own, so sooner or later there is room for a few in each of them: on two cores 600 pictures
    added 83 MiB, in steps that came long after the start, though no more was in use than before.

    Before there are threads, since an arena stays. MALLOC_ARENA_MAX in the environment goes first.
    """
    if sys.platform != "linux" or "MALLOC_ARENA_MAX" in os.environ:
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # not in musl
        libc.mallopt(_M_ARENA_MAX, 1)
