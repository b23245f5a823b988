#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What an image of 64 KiB can make a program use.

usage: attach_limits.py CORPUS SCRATCH PROGRAM...

Each PROGRAM is a command line in which {} is an image, which it may refuse, or
{packed} the input that it was unpacked from.  It is run with every input of CORPUS (tests/fuzz/packed.h), cut or filled up to
64 KiB, and with 64 KiB of noise behind the signature of an info block.  None
may be ended by a signal, take a second of processor time, 20 seconds by the
clock, or 64 MiB.
"""
import os
import random
import shlex
import signal
import struct
import sys
import time

BYTES = 64 << 10
CPU_SECONDS, CLOCK_SECONDS, MEMORY_KIB = 1, 20, 64 << 10
SIGNATURE = b"BTT_ARENA_INFO\0\0"


def unpack(data):
    """As packed.c does."""
    if len(data) < 4:
        return b""
    size = struct.unpack_from("<I", data)[0] % ((256 << 10) + 1)
    image, at = bytearray(size), 4
    while size and len(data) - at >= 6:
        off, length = struct.unpack_from("<IH", data, at)
        off, at = off % size, at + 6
        part = data[at:at + length][:size - off]
        image[off:off + len(part)] = part
        at += min(length, len(data) - at)
    return bytes(image)


def images(corpus):
    for name in sorted(os.listdir(corpus)):
        with open(os.path.join(corpus, name), "rb") as file:
            yield name, unpack(file.read())[:BYTES].ljust(BYTES, b"\0"), \
                file.name
    rng = random.Random(1)
    for start in (0, 4096, 8192):
        for i in range(10):
            noise = bytearray(rng.randbytes(BYTES))
            noise[start:start + 16] = SIGNATURE
            yield "noise-%d-%d" % (start, i), bytes(noise), None


def run(command):
    """(signal or 0, seconds of the processor, KiB) of a run."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        signal.alarm(CLOCK_SECONDS)
        try:
            os.execvp(command[0], command)
        finally:
            os._exit(127)
    _, status, usage = os.wait4(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 127:
        sys.exit("cannot run " + command[0])
    return (os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def main(arguments):
    if len(arguments) < 3:
        sys.exit(__doc__)
    corpus, scratch, programs = arguments[0], arguments[1], arguments[2:]
    path = os.path.join(scratch, "limits.img")
    most_cpu = most_memory = count = failed = 0
    began = time.monotonic()
    for name, image, packed in images(corpus):
        with open(path, "wb") as file:
            file.write(image)
        for program in programs:
            if packed is None and "{packed}" in program:
                continue
            ended_by, cpu, memory = run(
                [word.replace("{}", path).replace("{packed}", packed or "")
                 for word in shlex.split(program)])
            count += 1
            most_cpu, most_memory = max(most_cpu, cpu), max(most_memory, memory)
            if ended_by or cpu >= CPU_SECONDS or memory >= MEMORY_KIB:
                failed += 1
                print("%s: %s: signal %d, %.2f s, %d KiB" % (
                    name, program, ended_by, cpu, memory))
    os.unlink(path)
    print("%d runs in %.0f s: at most %.3f s of the processor and %d KiB each" %
          (count, time.monotonic() - began, most_cpu, most_memory))
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
