#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Interrupt bttctl create while it draws its progress on a terminal.

usage: interrupt_create.py SIGNAL PATH COMMAND...

The command gets a terminal whose output is stopped, as by Ctrl-S, so that it
is certain to be inside of its first progress line when the signal comes: no
race, no sleeping for luck.  Then the file must be gone, the command must have
died of that signal, and the line must have been erased.  Ends 77 where the
kernel does not tell what a process sleeps in.
"""
import os
import pty
import signal
import subprocess
import sys
import termios
import time

LIMIT_S = 60
ERASE = b"\r\x1b[K"


def is_writing(pid):
    """Is the process asleep in write(2)?"""
    try:
        with open(f"/proc/{pid}/syscall") as file:
            words = file.read().split()
    except OSError:
        return False
    # "running" while it is not asleep; 1 is write on x86-64, 64 elsewhere
    return words[0] in ("1", "64") and words[1] == "0x2"


def main():
    if not os.path.exists("/proc/self/syscall"):
        sys.exit(77)
    number = getattr(signal, sys.argv[1])
    path, command = sys.argv[2], sys.argv[3:]
    master, slave = pty.openpty()
    termios.tcflow(slave, termios.TCOOFF)
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave,
        env={**os.environ, "TERM": "xterm"}, start_new_session=True)
    try:
        deadline = time.monotonic() + LIMIT_S
        while not (os.path.exists(path) and is_writing(process.pid)):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"it never drew a line (status {process.poll()})")
            time.sleep(0.005)
        process.send_signal(number)
        termios.tcflow(slave, termios.TCOON)
        status = process.wait(timeout=LIMIT_S)
    finally:
        process.kill()
    os.close(slave)
    output = b""
    try:
        while chunk := os.read(master, 65536):
            output += chunk
    except OSError:
        pass  # the other side is closed
    if status != -number:
        sys.exit(f"status {status}, not {-number}; it said {output!r}")
    if os.path.lexists(path):
        sys.exit("the file is still there")
    if not output.endswith(ERASE):
        sys.exit(f"the line was not erased: {output!r}")


main()
