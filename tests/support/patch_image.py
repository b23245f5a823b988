#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Damage a BTT image on purpose.

usage: patch_image.py IMAGE ACTION...

    info COPY FIELD VALUE   COPY is primary, backup or both; the checksum is
                            made right again, so that only the value is wrong
    sum COPY                spoil the checksum
    zero OFFSET LENGTH      OFFSET counts from the end where negative
    random OFFSET LENGTH    bytes of a fixed seed
    map ENTRY VALUE
    log PAIR SLOT FIELD VALUE
    signature OFFSET        write the 16 bytes of the signature

Places are those of the first arena as its primary info block says before the
first action.  Numbers are as Python writes them.
"""
import random
import struct
import sys

INFO = 4096
SIGNATURE = b"BTT_ARENA_INFO\0\0"
FIELDS = {  # name: (offset, struct format)
    "flags": (48, "<I"), "major": (52, "<H"), "minor": (54, "<H"),
    "external_lbasize": (56, "<I"), "external_nlba": (60, "<I"),
    "internal_lbasize": (64, "<I"), "internal_nlba": (68, "<I"),
    "nfree": (72, "<I"), "infosize": (76, "<I"), "nextoff": (80, "<Q"),
    "dataoff": (88, "<Q"), "mapoff": (96, "<Q"), "logoff": (104, "<Q"),
    "info2off": (112, "<Q"), "uuid0": (16, "<Q"), "padding": (120, "<Q"),
}
LOG_FIELDS = {"lba": 0, "old": 4, "new": 8, "seq": 12}


def checksum(block):
    """btt-format.md 1.3"""
    low = high = 0
    for (word,) in struct.iter_unpack("<I", block[:INFO - 8] + bytes(8)):
        low = (low + word) & 0xffffffff
        high = (high + low) & 0xffffffff
    return high << 32 | low


class Image:
    def __init__(self, path):
        self.file = open(path, "r+b")
        self.file.seek(0, 2)
        self.size = self.file.tell()
        for self.start in (4096, 0, 8192):
            if self.read(self.start, 16) == SIGNATURE:
                break
        else:
            self.start = None
            return
        block = self.read(self.start, INFO)
        self.value = {name: struct.unpack_from(form, block, off)[0]
                      for name, (off, form) in FIELDS.items()}

    def read(self, off, length):
        self.file.seek(off)
        return self.file.read(length)

    def write(self, off, data):
        if off < 0:
            off += self.size
        if off < 0 or off + len(data) > self.size:
            sys.exit(f"{off} + {len(data)} is outside of the image")
        self.file.seek(off)
        self.file.write(data)

    def copies(self, which):
        places = {"primary": [self.start],
                  "backup": [self.start + self.value["info2off"]]}
        places["both"] = places["primary"] + places["backup"]
        return places[which]

    def info(self, which, field, value):
        off, form = FIELDS[field]
        for place in self.copies(which):
            block = bytearray(self.read(place, INFO))
            struct.pack_into(form, block, off, int(value, 0))
            struct.pack_into("<Q", block, INFO - 8, checksum(block))
            self.write(place, block)

    def sum(self, which):
        for place in self.copies(which):
            block = bytearray(self.read(place, INFO))
            block[INFO - 1] ^= 0x5a
            self.write(place, block)

    def zero(self, off, length):
        self.write(int(off, 0), bytes(int(length, 0)))

    def random(self, off, length):
        self.write(int(off, 0),
                   random.Random(4096).randbytes(int(length, 0)))

    def map(self, entry, value):
        self.write(self.start + self.value["mapoff"] + 4 * int(entry, 0),
                   struct.pack("<I", int(value, 0)))

    def log(self, pair, slot, field, value):
        self.write(self.start + self.value["logoff"] + 64 * int(pair, 0) +
                   16 * int(slot, 0) + LOG_FIELDS[field],
                   struct.pack("<I", int(value, 0)))

    def signature(self, off):
        self.write(int(off, 0), SIGNATURE)


def main():
    image = Image(sys.argv[1])
    count = {"info": 3, "sum": 1, "zero": 2, "random": 2, "map": 2, "log": 4,
             "signature": 1}
    words = sys.argv[2:]
    while words:
        action, words = words[0], words[1:]
        n = count[action]
        getattr(image, action)(*words[:n])
        words = words[n:]
    image.file.close()


main()
