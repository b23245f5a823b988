#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Processes that write parts of the same sectors, none of which may be lost.

usage: parts.py [-p PROCESSES] [-n WRITES] [-t SECTOR] FILE

Each process has its own bytes in each of a few sectors, writes them again and
again, and after each write must read what it has just written there.
"""
import argparse
import os
import sys

SECTORS = 4


def work(path, index, given):
    part = given.t // given.p
    fd = os.open(path, os.O_RDWR)
    for number in range(given.n):
        data = (b"%8d %8d " % (index, number)).ljust(part, b".")
        offset = number % SECTORS * given.t + index * part
        if os.pwrite(fd, data, offset) != part:
            sys.exit(f"process {index}: short write")
        found = os.pread(fd, part, offset)
        if found != data:
            sys.exit(f"process {index}: write {number} is lost: {found[:20]}")
    # The last round, when all others are done or not.
    for number in range(given.n - SECTORS, given.n):
        data = (b"%8d %8d " % (index, number)).ljust(part, b".")
        offset = number % SECTORS * given.t + index * part
        if os.pread(fd, part, offset) != data:
            sys.exit(f"process {index}: write {number} is lost in the end")
    os.close(fd)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-p", type=int, default=8)
    parser.add_argument("-n", type=int, default=2000)
    parser.add_argument("-t", type=int, default=4096)
    parser.add_argument("file")
    given = parser.parse_args()
    children = []
    for index in range(given.p):
        child = os.fork()
        if child == 0:
            work(given.file, index, given)
            os._exit(0)
        children.append(child)
    bad = sum(os.waitpid(child, 0)[1] != 0 for child in children)
    sys.exit(bad > 0)


main()
