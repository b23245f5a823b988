#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Cut a seed for the fuzzers out of an image of full size.

usage: cut_image.py IMAGE[.xz] SEED [PAIR...]

A few log pairs (those PAIRs, else the first ones that were written), the
sectors that they are about and some more are kept as they are, under new
numbers; of each block only the beginning.  What is before the BTT, as the
header of a pool, is kept too.
"""
import lzma
import struct
import sys

PAGE = 4096
SIGNATURE = b"BTT_ARENA_INFO\0\0"
INFO = struct.Struct("<16s16s16sIHHIIIIIIQQQQQ")
MASK = 0x3fffffff
NPAIR, NSECTOR, KEPT_BYTES = 6, 14, 16


def checksum(block):
    """btt-format.md 1.3"""
    low = high = 0
    for (word,) in struct.iter_unpack("<I", block[:PAGE - 8] + bytes(8)):
        low = (low + word) & 0xffffffff
        high = (high + low) & 0xffffffff
    return high << 32 | low


def pack(image):
    """packed.h"""
    out = bytearray(struct.pack("<I", len(image)))
    at = 0
    while at < len(image):
        if image[at] == 0:
            at += 1
            continue
        end = at
        while end < len(image) and any(image[end:end + 8]):
            end += 1
        while image[end - 1] == 0:
            end -= 1
        out += struct.pack("<IH", at, end - at) + image[at:end]
        at = end
    return bytes(out)


class Source:
    def __init__(self, path):
        opener = lzma.open if path.endswith(".xz") else open
        with opener(path, "rb") as file:
            self.bytes = file.read()
        for self.start in (PAGE, 0, 2 * PAGE):
            if self.bytes[self.start:self.start + 16] == SIGNATURE:
                break
        else:
            sys.exit(path + ": no BTT")
        info = INFO.unpack_from(self.bytes, self.start)
        (_, self.uuid, self.parent, self.flags, self.major, self.minor,
         self.lbasize, self.external, self.stride, self.internal, self.nfree,
         _, _, self.dataoff, self.mapoff, self.logoff, _) = info

    def entry(self, pair, slot):
        off = self.start + self.logoff + 64 * pair + 16 * slot
        return struct.unpack_from("<4I", self.bytes, off)

    def word(self, sector):
        return struct.unpack_from(
            "<I", self.bytes, self.start + self.mapoff + 4 * sector)[0]

    def block(self, sector):
        word = self.word(sector)
        return word & MASK if word >> 30 else sector


def choose(source, pairs):
    """Pairs, and the sectors that are theirs, written and not."""
    used = [p for p in range(source.nfree)
            if any(any(source.entry(p, s)) for s in (1, 2))]
    fresh = [p for p in range(source.nfree) if p not in used]
    pairs = pairs or used[:NPAIR - 1] + fresh[:1]
    sectors = []
    for pair in pairs:
        for slot in range(3):
            lba = source.entry(pair, slot)[0]
            if any(source.entry(pair, slot)) and lba < source.external:
                sectors.append(lba)
    for state in (1, 2, 0, 3):
        sectors += [s for s in range(source.external)
                    if source.word(s) >> 30 == state][:3]
    return pairs, list(dict.fromkeys(sectors))[:NSECTOR]


def number_blocks(source, pairs, sectors):
    """New numbers; an initial entry keeps the block of its own number."""
    total = len(sectors) + len(pairs)
    number = {}
    for i, sector in enumerate(sectors):
        if source.word(sector) >> 30 == 0:
            number[sector] = i
    left = [i for i in range(total) if i not in number.values()]
    wanted = [source.block(s) for s in sectors]
    for pair in pairs:
        wanted += [source.entry(pair, slot)[k] & MASK
                   for slot in range(3) for k in (1, 2)
                   if any(source.entry(pair, slot))]
    for block in wanted:
        if block not in number:
            number[block] = left.pop(0) if left else block % total
    return number


def main(arguments):
    if len(arguments) < 2:
        sys.exit(__doc__)
    source = Source(arguments[0])
    pairs, sectors = choose(source, [int(p) for p in arguments[2:]])
    number = number_blocks(source, pairs, sectors)
    internal = len(sectors) + len(pairs)
    mapoff = PAGE + -(-internal * source.stride // PAGE) * PAGE
    logoff, info2off = mapoff + PAGE, mapoff + 2 * PAGE
    image = bytearray(source.start + info2off + PAGE)
    image[:source.start] = source.bytes[:source.start]
    info = bytearray(PAGE)
    INFO.pack_into(info, 0, SIGNATURE, source.uuid, source.parent,
                   source.flags, source.major, source.minor, source.lbasize,
                   len(sectors), source.stride, internal, len(pairs), PAGE, 0,
                   PAGE, mapoff, logoff, info2off)
    struct.pack_into("<Q", info, PAGE - 8, checksum(bytes(info)))
    for off in (source.start, source.start + info2off):
        image[off:off + PAGE] = info
    for i, sector in enumerate(sectors):
        word = source.word(sector)
        if word >> 30:
            word = word & ~MASK | number[word & MASK]
        struct.pack_into("<I", image, source.start + mapoff + 4 * i, word)
    for i, pair in enumerate(pairs):
        for slot in range(4):
            lba, old, new, seq = source.entry(pair, slot)
            if lba | old | new | seq == 0:
                continue
            lba = sectors.index(lba) if lba in sectors else i % len(sectors)
            struct.pack_into(
                "<4I", image, source.start + logoff + 64 * i + 16 * slot, lba,
                old & ~MASK | number[old & MASK],
                new & ~MASK | number[new & MASK], seq)
    for block, new in number.items():
        off = source.start + source.dataoff + block * source.stride
        to = source.start + PAGE + new * source.stride
        image[to:to + KEPT_BYTES] = source.bytes[off:off + KEPT_BYTES]
    with open(arguments[1], "wb") as file:
        file.write(pack(image))


if __name__ == "__main__":
    main(sys.argv[1:])
