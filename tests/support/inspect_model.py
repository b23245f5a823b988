#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Read the metadata of a BTT once more, and compare with bttctl dump and map.

usage: inspect_model.py BTTCTL IMAGE [NAMESPACE OFFSET]

Written from the format (btt-format.md 1.2, 2.1, 3, 4.1), sharing nothing with
bttctl.  The first arena must have a valid info block; the log and the map may
be as damaged as they like.  NAMESPACE is for bttctl, OFFSET for this program: it
knows nothing of labels.  Prints what was compared; the status says whether
all of it is the same.
"""
import json
import struct
import subprocess
import sys

SIGNATURE = b"BTT_ARENA_INFO\0\0"
INFO = 4096
BLOCK = 0x3fffffff
STATES = ["initial", "error", "zero", "normal"]
FIELDS = struct.Struct("<16s16s16sIHHIIIIIIQQQQQ")
NAMES = ("signature uuid parent_uuid flags major minor external_lbasize "
         "external_nlba internal_lbasize internal_nlba nfree infosize nextoff "
         "dataoff mapoff logoff info2off").split()


def checksum(block):
    low = high = 0
    for (word,) in struct.iter_unpack("<I", block[:INFO - 8] + bytes(8)):
        low = (low + word) & 0xffffffff
        high = (high + low) & 0xffffffff
    return high << 32 | low


class Arena:
    def __init__(self, image, off, block_off):
        self.image, self.off = image, off
        block = image.read(block_off, INFO)
        for name, value in zip(NAMES, FIELDS.unpack_from(block)):
            setattr(self, name, value)
        self.map = [word for (word,) in struct.iter_unpack(
            "<I", image.read(off + self.mapoff, 4 * self.external_nlba))]
        data = image.read(off + self.logoff, 64 * self.nfree)
        self.log = [[struct.unpack_from("<IIII", data, 64 * pair + 16 * slot)
                     for slot in range(4)] for pair in range(self.nfree)]
        self.find_slots()
        self.pairs = [self.judge(pair) for pair in range(self.nfree)]
        self.find_pending()

    def used(self, pair):
        return {slot for slot in range(4) if any(self.log[pair][slot])}

    def find_slots(self):
        used = [self.used(pair) for pair in range(self.nfree)]
        self.second, self.consistent = 1, False
        every = set().union(*used)
        if all(0 in slots for slots in used) and every in (
                {0}, {0, 1}, {0, 2}):
            self.consistent = True
            self.second = 2 if 2 in every else 1
        elif used.count({0, 2}) > used.count({0, 1}):
            self.second = 2

    def judge(self, pair):
        """(problem, newest slot): None if there is none."""
        used = self.used(pair)
        if not used:
            return "empty", None
        second, problem = self.second, None
        if 0 not in used or used - {0, second}:
            problem = "slots"
            second = {(0, 1): 1, (0, 2): 2}.get(
                tuple(sorted(used)), self.second)
        a, b = self.log[pair][0][3], self.log[pair][second][3]
        if a > 3 or b > 3 or a == b or (b == 0 and a != 1):
            return problem or "seq", None
        if a == 0:
            newest = second
        elif b == 0:
            newest = 0
        else:
            newest = second if a % 3 + 1 == b else 0
        lba, old, new, _ = self.log[pair][newest]
        if problem is None and lba >= self.external_nlba:
            problem = "lba"
        if problem is None and old & BLOCK >= self.internal_nlba:
            problem = "old_map"
        if problem is None and new & BLOCK >= self.internal_nlba:
            problem = "new_map"
        return problem, newest

    def block_of(self, premap):
        entry = self.map[premap]
        return entry & BLOCK if entry >> 30 else premap

    def find_pending(self):
        """Recovery, pair by pair, on a copy of the map."""
        self.pending, self.state = {}, []
        now = {}
        for pair, (problem, newest) in enumerate(self.pairs):
            if problem:
                self.state.append("damaged")
                continue
            lba, old, new, _ = self.log[pair][newest]
            old, new = old & BLOCK, new & BLOCK
            self.state.append(
                "fresh" if old == new and self.used(pair) == {0} else "done")
            if old != new and now.get(lba, self.block_of(lba)) == old:
                now[lba] = self.pending[lba] = new
                self.state[-1] = "pending"

    def place(self, block):
        if block >= self.internal_nlba:
            return None
        off = self.off + self.dataoff + block * self.internal_lbasize
        return off if off + self.internal_lbasize <= self.image.size else None


class Image:
    def __init__(self, path, base):
        self.file = open(path, "rb")
        self.file.seek(0, 2)
        self.size = self.file.tell()
        self.arenas = []
        off = next((base + off for off in (4096, 0, 8192)
                    if self.has_info(base + off)), None)
        while off is not None:
            arena = Arena(self, off, off)
            self.arenas.append(arena)
            off = off + arena.nextoff if arena.nextoff else None

    def read(self, off, length):
        self.file.seek(off)
        return self.file.read(length)

    def has_info(self, off):
        block = self.read(off, INFO)
        return block[:16] == SIGNATURE and \
            struct.unpack_from("<Q", block, INFO - 8)[0] == checksum(block)


bad = 0


def same(what, want, found):
    global bad
    if want != found:
        bad += 1
        if bad <= 20:
            print(f"{what}: {found}, not {want}")


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if not done.stdout:
        sys.exit(f"{' '.join(words)}: {done.stderr}")
    return json.loads(done.stdout)[0]


def compare_info(arena, found):
    block = arena.image.read(arena.off, INFO)
    for copy in found["infoblocks"]:
        if copy["state"] != "valid":
            continue
        if copy["copy"] == "backup" and \
                arena.image.read(arena.off + arena.info2off, INFO) != block:
            continue
        for name in NAMES[6:] + ["flags"]:
            same(f"{copy['copy']} {name}", getattr(arena, name), copy[name])
        same("uuid", arena.uuid.hex(), copy["uuid"].replace("-", ""))
        same("version", f"{arena.major}.{arena.minor}", copy["version"])


def compare_log(arena, found):
    same("slots", [0, arena.second], found["slots"])
    same("consistent", arena.consistent, found["consistent"])
    same("pairs", arena.nfree, len(found["pairs"]))
    same("pending", len(arena.pending), found["pending"])
    for pair, given in enumerate(found["pairs"]):
        problem, newest = arena.pairs[pair]
        what = f"pair {pair}: "
        same(what + "offset", arena.off + arena.logoff + 64 * pair,
             given["offset"])
        same(what + "state", arena.state[pair], given["state"])
        same(what + "problem", problem, given.get("problem"))
        same(what + "newest", newest, given.get("newest"))
        if newest is not None:
            same(what + "free", arena.log[pair][newest][1] & BLOCK,
                 given["free_block"])
        slots = arena.used(pair) | {0, arena.second}
        same(what + "slots", [(slot, *arena.log[pair][slot])
                              for slot in sorted(slots)],
             [(s["slot"], s["lba"], s["old_map"], s["new_map"], s["seq"])
              for s in given["slots"]])


def expand(runs):
    """One tuple a sector: lba, premap, state, block, offset, pending."""
    for given in runs:
        pending = given.get("pending", {})
        for i in range(given.get("sectors", 1)):
            off = given.get("offset")
            yield (given["lba"] + i, given["premap"] + i, given["state"],
                   given["block"] + i, off, i, pending.get("block"),
                   pending.get("offset"))


def compare_map(arena, first, runs):
    count = 0
    for lba, premap, state, block, off, i, pending, pending_off in \
            expand(runs):
        what = f"sector {lba}: "
        if premap >= arena.external_nlba:
            same(what + "premap", "less", premap)
            return
        same(what + "premap", count, premap)
        same(what + "lba", first + premap, lba)
        same(what + "state", STATES[arena.map[premap] >> 30], state)
        same(what + "block", arena.block_of(premap), block)
        if off is not None:
            off += i * arena.internal_lbasize
        same(what + "offset", arena.place(block), off)
        new = arena.pending.get(premap)
        same(what + "pending", new, pending)
        if new is not None:
            same(what + "pending offset", arena.place(new), pending_off)
        count += 1
    same("sectors in the map", arena.external_nlba, count)


def main():
    bttctl, path, *rest = sys.argv[1:]
    image = Image(path, int(rest[1]) if rest else 0)
    which = ["--namespace", rest[0]] if rest else []
    if not image.arenas:
        sys.exit(f"{path}: not a BTT to this program")
    dump = run(bttctl, "dump", "--json", path, *which)
    whole = run(bttctl, "map", "--json", path, *which)
    nsector = sum(arena.external_nlba for arena in image.arenas)
    same("sectors", nsector, whole["sectors"])
    same("arenas", len(image.arenas), len(dump["arenas"]))
    first = 0
    for index, arena in enumerate(image.arenas):
        given = dump["arenas"][index]
        same("offset", arena.off, given["offset"])
        compare_info(arena, given)
        compare_log(arena, given["log"])
        compare_map(arena, first, given["map"])
        compare_map(arena, first,
                    [r for r in whole["map"] if r["arena"] == index])
        first += arena.external_nlba
    # Single sectors, from all over the place and across each border.
    wanted = sorted({0, nsector - 1, nsector // 2, nsector // 3})
    single = run(bttctl, "map", "--json", path, *which, *map(str, wanted))
    same("single sectors", wanted, [s["lba"] for s in single["map"]])
    for given in single["map"]:
        arena = image.arenas[given["arena"]]
        same(f"sector {given['lba']}", arena.block_of(given["premap"]),
             given["block"])
    print(f"{len(image.arenas)} arenas, {nsector} sectors, "
          f"{sum(a.nfree for a in image.arenas)} pairs, "
          f"{sum(len(a.pending) for a in image.arenas)} pending: "
          f"{bad} differ")
    sys.exit(bad > 0)


main()
