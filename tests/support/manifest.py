#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compare a device, sector by sector, with what somebody else read from it.

usage: manifest.py MANIFEST DEVICE [TABLE]

MANIFEST (.xz or plain) is one of shared/fixtures: of the kernel's images,
lines "first[-last] STATE", or of a pool, lines "block STATE", where blocks
that are not named are zero.  STATE is zero, EIO or error, or holds a SHA-256.
Each sector is read by a request of its own.

TABLE is the intent and ack table of an image whose machine was killed: each
sector must be whole, and of a generation from its ack to its intent.
"""
import errno
import hashlib
import lzma
import os
import re
import struct
import sys
import zlib

BAD_SHOWN = 20
HEAD = struct.Struct("<8sQQII")


def open_any(path):
    return lzma.open(path) if path.endswith(".xz") else open(path, "rb")


def load(path):
    """Sector size, number of sectors, and a list of their states."""
    sector = number = 0
    states = {}
    for line in open_any(path).read().decode().splitlines():
        if found := re.search(r"\b(sector_size|bsize) (\d+)\b", line):
            sector = int(found[2])
        if found := re.search(r"\b(sectors|nblock) (\d+)\b", line):
            number = int(found[2])
        if line.startswith("#"):
            continue
        place, state = line.split(" ", 1)
        first, _, last = place.partition("-")
        digest = re.search(r"\b[0-9a-f]{64}\b", state)
        if digest:
            state = digest[0]
        elif state in ("EIO", "error"):
            state = "EIO"
        elif state != "zero":
            sys.exit(f"{path}: cannot read the line: {line}")
        for lba in range(int(first), int(last or first) + 1):
            states[lba] = state
    if not sector or not number or max(states, default=0) >= number:
        sys.exit(f"{path}: not a manifest")
    return sector, [states.get(lba, "zero") for lba in range(number)]


def state_of(device, sector, lba):
    try:
        data = os.pread(device, sector, lba * sector)
    except OSError as error:
        return errno.errorcode[error.errno], b""
    if len(data) != sector:
        return f"{len(data)} bytes", data
    if not any(data):
        return "zero", data
    return hashlib.sha256(data).hexdigest(), data


def out_of_order(data, lba, ack, intent):
    """What is wrong with a self-identifying sector, or None."""
    if not any(data):
        generation = 0
    else:
        magic, place, generation, _, size = HEAD.unpack_from(data)
        crc, = struct.unpack_from("<I", data, len(data) - 4)
        if magic != b"BTTSECT1" or size != len(data) or \
                crc != zlib.crc32(data[:-4]):
            return "torn"
        if place != lba:
            return f"of sector {place}"
    if ack <= generation <= intent:
        return None
    return f"generation {generation}, not from {ack} to {intent}"


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    sector, states = load(sys.argv[1])
    device = os.open(sys.argv[2], os.O_RDONLY)
    size = os.lseek(device, 0, os.SEEK_END)
    bad = 0
    if size != sector * len(states):
        print(f"{size} bytes, not {len(states)} sectors of {sector}")
        bad += 1
    intents = acks = None
    if len(sys.argv) == 4:
        table = open_any(sys.argv[3]).read()
        number = len(states)
        intents = struct.unpack_from(f"<{number}I", table, 4096)
        acks = struct.unpack_from(f"<{number}I", table, 4096 + 4 * number)
    for lba, want in enumerate(states):
        found, data = state_of(device, sector, lba)
        wrong = None
        if found != want:
            wrong = f"{found}, not {want}"
        elif intents:
            wrong = out_of_order(data, lba, acks[lba], intents[lba])
        if wrong:
            bad += 1
            if bad <= BAD_SHOWN:
                print(f"{sys.argv[2]}: sector {lba}: {wrong}")
    data = sum(state not in ("zero", "EIO") for state in states)
    print(f"{len(states)} sectors of {sector}, {data} of them with data, "
          f"compared with {os.path.basename(sys.argv[1])}: {bad} differ")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
