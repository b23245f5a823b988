#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Images that were damaged at random: does libbtt make of them what an
independent model makes of them, and the real kernel?

usage: differential.py run VERDICT BTTIMG [COUNT [SEED]]
       differential.py sample DIRECTORY BTTIMG [COUNT [SEED]]
       differential.py compare DIRECTORY BTTIMG IMAGE...

run      COUNT (10000) images of SEED (1), one after the other in one file:
         opened, read and checked by the program VERDICT (verdict.c), and by
         the model, which is the module of that path, written from the kernel's
         source.  Where they differ, one of RULES must say so; and where a rule
         says so, they must differ.  The end lists how often each did.
sample   leaves COUNT of those images in DIRECTORY, a quarter of them such that
         the model does not attach.
compare  compares what the guest of kernel-vm left in DIRECTORY, of those
         images in that order, with what the model says of them; KERNEL_RULES
         apply (../e2e/test-differential-kernel.sh).

An image is rebuilt from its number and the seed alone: run VERDICT BTTIMG 1
SEED:NUMBER repeats one, and leaves it in ./differential.img if it differs.
"""
import importlib.util
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

M64 = (1 << 64) - 1
PRIME = 0x100000001b3
START = 0xcbf29ce484222325
UNREADABLE = 1
PAGE = 4096
MASK = 0x3fffffff
REPORTED = 100  # findings of one kind that check names one by one
SECTORS = {512: 512, 520: 512, 528: 512, 1024: 1024, 2048: 2048, 4096: 4096,
           4104: 4096, 4160: 4096, 4224: 4096, 8192: 8192, 16384: 16384,
           32768: 32768, 65536: 65536}
ARENA_MIN, ARENA_MAX = 1 << 24, 1 << 39

# Why libbtt and the model may differ.  The model does what the kernel does.
RULES = {
    # libbtt refuses what the kernel attaches.
    "version": "a version that is not that of the place",
    "sector": "a sector size that is not served",
    "numbers": "numbers of the info block that contradict each other",
    "arena": "the arena or its successor reaches beyond the medium",
    "no-entry": "a log pair without its first entry, which the kernel takes "
                "for an entry of zeroes, so that block 0 is free",
    "odd-seq": "sequence numbers above 3, both 0, (2,0) or (3,0)",
    "lba": "a newest log entry about a sector that is not there",
    "log-block": "a newest log entry with a block that is not there",
    "free-twice": "two log pairs with one free block",
    "pending-twice": "a block that recovery gives to a sector is a pair's free "
                     "block, or another such sector's",
    # libbtt opens what the kernel does not attach.
    "backup": "the info block is damaged, and its backup is not",
    # Both open it, and a sector reads differently.
    "map-block": "a map entry with a block that is not there reads as an "
                 "error, whatever its flags; the kernel reads what lies there",
    "pool": "sectors of a pool that were never written read as zeroes",
}

# Where the model leaves something to the kernel.
KERNEL_RULES = {
    "small": "16 MiB and a page are the least that a namespace of v1.1 has",
    "nfree": "fewer than 256 log pairs: the probe fails",
    "place": "another version than 1.1: not looked for where there is no label",
    "next": "the arena has a successor, and there is none: the probe fails",
    "outside": "map or log reach beyond the namespace: the probe fails",
    "beyond": "a sector whose block lies beyond the namespace reads as EIO",
}


def load_model(path):
    spec = importlib.util.spec_from_file_location("bttimg", path)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


def sum_words(words, start=START):
    for word in words:
        start = (start ^ word) * PRIME & M64
    return start


class Base:
    """An image in use, built from the model's geometry and no code of ours."""

    def __init__(self, model, sector, version, nwrite, pool=False):
        rng = random.Random(sector * 7 + version)
        self.pool = pool
        self.start = 8192 if pool else PAGE if version == 1 else 0
        self.size = ARENA_MIN + self.start
        geometry = next(iter(model.predict(
            ARENA_MIN + (0 if version == 2 else PAGE), sector, version == 2)))
        self.sector = sector
        self.external = geometry["ext_nlba"]
        self.internal = geometry["int_nlba"]
        self.stride = geometry["int_lbasize"]
        self.mapoff, self.logoff = geometry["mapoff"], geometry["logoff"]
        self.info2off = geometry["info2off"]
        self.nfree = self.internal - self.external
        self.bytes = bytearray(self.size)
        info = bytearray(PAGE)
        parent = bytes(range(16)) if pool else bytes(16)
        model.F.pack_into(
            info, 0, model.SIG, b"differential-tst", parent, 0, version,
            2 - version if version == 2 else 1, sector, self.external,
            self.stride, self.internal, self.nfree, PAGE, 0, PAGE,
            self.mapoff, self.logoff, self.info2off)
        struct.pack_into("<Q", info, 4088, model.csum(bytes(info)))
        for off in (self.start, self.start + self.info2off):
            self.bytes[off:off + PAGE] = info
        if pool:
            self.make_pool(model, parent)
        for block in range(self.internal):
            self.tag(block)
        self.fill(rng, nwrite)

    def make_pool(self, model, parent):
        header = bytearray(PAGE)
        header[0:8] = b"PMEMBLK\0"
        struct.pack_into("<I", header, 8, 1)
        header[24:40] = parent
        struct.pack_into("<Q", header, 4088, model.csum(bytes(header)))
        self.bytes[0:PAGE] = header
        struct.pack_into("<I", self.bytes, PAGE, self.sector)

    def tag(self, block):
        """A block's content tells which it is, at both ends."""
        off = self.start + PAGE + block * self.stride
        end = off + SECTORS[self.sector]
        value = (block + 1) * 0x9e3779b97f4a7c15 & M64
        struct.pack_into("<Q", self.bytes, off, value)
        struct.pack_into("<Q", self.bytes, end - 8, ~value & M64)

    def log_at(self, pair, slot):
        return self.start + self.logoff + pair * 64 + slot * 16

    def map_at(self, sector):
        return self.start + self.mapoff + sector * 4

    def fill(self, rng, nwrite):
        """Writes, as the kernel makes them (btt-format.md 5.2)."""
        mapped = list(range(self.external))
        free = [self.external + i for i in range(self.nfree)]
        seq = [(1, 0)] * self.nfree
        for i in range(self.nfree):
            struct.pack_into("<4I", self.bytes, self.log_at(i, 0),
                             i, free[i], free[i], 1)
        for _ in range(nwrite):
            pair, lba = rng.randrange(self.nfree), rng.randrange(self.external)
            number, newest = seq[pair]
            slot = 1 - newest
            number = number % 3 + 1
            struct.pack_into("<4I", self.bytes, self.log_at(pair, slot),
                             lba, mapped[lba], free[pair], number)
            struct.pack_into("<I", self.bytes, self.map_at(lba),
                             0xc0000000 | free[pair])
            mapped[lba], free[pair] = free[pair], mapped[lba]
            seq[pair] = (number, slot)


class Image:
    """A base, its changes, and the file that the program looks at."""

    def __init__(self, base, path, model):
        self.base, self.model = base, model
        self.size = base.size
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.pwrite(self.fd, base.bytes, 0)
        self.undo = []
        self.sums = {}  # of blocks as they are in the base

    def put(self, off, data):
        if off < 0 or off >= len(self.base.bytes):
            return
        data = data[:len(self.base.bytes) - off]
        self.undo.append((off, bytes(self.base.bytes[off:off + len(data)])))
        self.base.bytes[off:off + len(data)] = data
        os.pwrite(self.fd, data[:max(0, self.size - off)], off)

    def put_info(self, off, **fields):
        block = bytearray(self.base.bytes[off:off + PAGE])
        for name, value in fields.items():
            at = self.model.OFFS[name]
            size = 8 if at >= 80 else 2 if name in ("major", "minor") else 4
            block[at:at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(
                size, "little")
        block[4088:] = struct.pack("<Q", self.model.csum(bytes(block)))
        self.put(off, bytes(block))

    def resize(self, size):
        if self.size != self.base.size:
            return  # once is enough, and twice hard to take back
        self.size = size
        os.ftruncate(self.fd, size)

    def restore(self):
        os.ftruncate(self.fd, len(self.base.bytes))
        # What was cut off has to come back too.
        if self.size < len(self.base.bytes):
            os.pwrite(self.fd, self.base.bytes[self.size:], self.size)
        self.size = self.base.size
        for off, data in reversed(self.undo):
            self.base.bytes[off:off + len(data)] = data
            os.pwrite(self.fd, data, off)
        self.undo.clear()

    def read(self, off, n):
        data = bytes(self.base.bytes[off:min(off + n, self.size)])
        return data + bytes(n - len(data))

    def block_sum(self, off, size):
        found = self.sums.get((off, size))
        if found is not None and not self.changed(off, size):
            return found
        found = sum_words(struct.unpack("<%dQ" % (size // 8),
                                        self.read(off, size)))
        if off + size <= self.size and not self.changed(off, size):
            self.sums[off, size] = found
        return found

    def changed(self, off, size):
        return any(at < off + size and off < at + len(data)
                   for at, data in self.undo)


# ---- damage ----

def odd_number(rng, base):
    numbers = (0, 1, base.external, base.internal, base.nfree, base.sector,
               base.stride, base.mapoff, base.logoff, base.info2off, PAGE,
               base.size, ARENA_MIN, ARENA_MAX, 512, 520, 4104, 65536, 1 << 30,
               MASK, (1 << 32) - 1, (1 << 64) - PAGE, M64)
    return rng.choice(numbers) + rng.choice((0, 0, 0, 1, -1, PAGE, -PAGE))


def any_block(rng, base):
    return rng.choice((rng.randrange(base.internal),) * 4 + (
        base.internal, base.internal - 1, base.internal + 1, MASK, 0,
        rng.getrandbits(30)))


def change_number(rng, image):
    base = image.base
    name = rng.choice(image.model.NAMES[3:])
    value = odd_number(rng, base)
    off = (base.start, base.start + base.info2off)
    for k in rng.choice(((0, 1), (0, 1), (0,), (1,))):
        image.put_info(off[k], **{name: value})


def spoil_info(rng, image):
    base = image.base
    for _ in range(rng.choice((1, 1, 2))):
        off = base.start + rng.choice((0, base.info2off))
        at = off + rng.choice((rng.randrange(120), rng.randrange(PAGE)))
        image.put(at, bytes((base.bytes[at] ^ 1 << rng.randrange(8),)))


def zero_info(rng, image):
    image.put(image.base.start + rng.choice((0, image.base.info2off)),
              bytes(PAGE))


def change_seq(rng, image):
    base = image.base
    off = base.log_at(rng.randrange(base.nfree), rng.randrange(2)) + 12
    image.put(off, struct.pack("<I", rng.choice((0, 1, 2, 3, 4, 1 << 31))))


def change_entry(rng, image):
    base = image.base
    off = base.log_at(rng.randrange(base.nfree), rng.randrange(2))
    word = rng.randrange(3)
    if word == 0:
        value = rng.choice((rng.randrange(base.external), base.external,
                            base.external - 1, base.internal, MASK,
                            (1 << 32) - 1))
    else:
        value = any_block(rng, base) | rng.choice((0, 0, 1, 2, 3)) << 30
    image.put(off + 4 * word, struct.pack("<I", value))


def pair_state(image, pair):
    """(newest slot, its entry, whether the other one is there)"""
    base = image.base
    half = [struct.unpack_from("<4I", base.bytes, base.log_at(pair, k))
            for k in range(2)]
    new = image.model.seqnew(half[0][3], half[1][3])
    return new, half


def interrupt(rng, image):
    """A write that came as far as its log entry, or half of that."""
    base = image.base
    for _ in range(rng.choice((1, 2, 5))):
        pair = rng.randrange(base.nfree)
        new, half = pair_state(image, pair)
        if new is None or half[new][3] not in (1, 2, 3):
            continue
        lba = rng.randrange(base.external)
        word, = struct.unpack_from("<I", base.bytes, base.map_at(lba))
        entry = struct.pack("<4I", lba, image.model.post(word, lba),
                            half[new][1] & MASK, half[new][3] % 3 + 1)
        image.put(base.log_at(pair, 1 - new),
                  entry[:rng.choice((16, 16, 16, 8))])


def move_slots(rng, image):
    """Second slots to the third: of all pairs (an old log), or of some."""
    base = image.base
    pairs = range(base.nfree)
    if rng.random() < 0.3:
        pairs = rng.sample(pairs, rng.choice((1, 2, 128)))
    for pair in pairs:
        at = base.log_at(pair, 1)
        second = bytes(base.bytes[at:at + 16])
        image.put(at, bytes(16) + second)


def empty_slot(rng, image):
    base = image.base
    at = base.log_at(rng.choice((0, rng.randrange(base.nfree))),
                     rng.randrange(2))
    image.put(at, bytes(rng.choice((16, 32))))


def use_padding(rng, image):
    base = image.base
    image.put(base.log_at(rng.randrange(base.nfree), rng.choice((2, 3))),
              rng.randbytes(16))


def same_free(rng, image):
    base = image.base
    one, other = rng.sample(range(base.nfree), 2)
    at = base.log_at(other, 0)
    image.put(at, bytes(base.bytes[base.log_at(one, 0):
                                   base.log_at(one, 0) + 64]))


def flag_log(rng, image):
    """As PMDK and Windows write it."""
    base = image.base
    for pair in rng.sample(range(base.nfree), rng.choice((1, 50))):
        new, half = pair_state(image, pair)
        if new is None:
            continue
        lba, old, block, seq = half[new]
        flag = rng.choice((1, 2, 3)) << 30
        image.put(base.log_at(pair, new),
                  struct.pack("<4I", lba, old | flag, block | 3 << 30, seq))


def change_map(rng, image):
    base = image.base
    for _ in range(rng.choice((1, 1, 2, 300))):
        value = any_block(rng, base) | rng.choice((0, 1, 2, 3, 3, 3)) << 30
        image.put(base.map_at(rng.randrange(base.external)),
                  struct.pack("<I", value))


def flag_map(rng, image):
    """Bad and zeroed sectors, as they come."""
    base = image.base
    for _ in range(rng.choice((1, 10))):
        lba = rng.randrange(base.external)
        word, = struct.unpack_from("<I", base.bytes, base.map_at(lba))
        image.put(base.map_at(lba), struct.pack(
            "<I", image.model.post(word, lba) | rng.choice((1, 2)) << 30))


def swap_map(rng, image):
    base = image.base
    one, other = (base.map_at(rng.randrange(base.external)) for _ in range(2))
    first = bytes(base.bytes[one:one + 4])
    image.put(one, bytes(base.bytes[other:other + 4]))
    image.put(other, first)


def spoil_metadata(rng, image):
    base = image.base
    end = base.info2off + PAGE - base.mapoff
    off = base.start + base.mapoff + rng.randrange(end)
    image.put(off, rng.randbytes(rng.choice((1, 4, 16, 200))))


def change_size(rng, image):
    base = image.base
    image.resize(max(1, base.size + rng.choice(
        (-1, -PAGE, -2 * PAGE, -20 * PAGE, -base.size // 2, 1, PAGE, PAGE,
         1 << 20, ARENA_MIN, -base.size + 4096, -base.size + 10000))))


def change_data(rng, image):
    base = image.base
    off = base.start + PAGE + rng.randrange(base.mapoff - PAGE - 64)
    image.put(off, rng.randbytes(64))


DAMAGES = (change_number, change_number, spoil_info, zero_info, change_seq,
           change_seq, change_entry, change_entry, interrupt, interrupt,
           move_slots, empty_slot, use_padding, same_free, flag_log,
           change_map, change_map, flag_map, swap_map, spoil_metadata,
           change_size, change_data)


def damage(image, seed, number):
    rng = random.Random((seed << 32) + number)
    what = [rng.choice(DAMAGES) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    for change in what:
        change(rng, image)
    return [change.__name__ for change in what]


# ---- what must come of it ----

def make_view(model, image, patch=None):
    """The model's image, on our bytes; patch is (offset, bytes) over them."""

    class View(model.Img):
        def __init__(self):
            self.size, self.base = image.size, 0

        def rd(self, off, n):
            if patch is not None and off == patch[0] and n == len(patch[1]):
                return patch[1]
            if off >= self.size:
                return bytes(n)
            return image.read(off, n)

        def start(self):
            return image.base.start

    return View()


def number_faults(model, image, info):
    """Rules that refuse the numbers of arena 0 (btt-format.md 12, item 4)."""
    faults = set()
    version = (2, 0) if image.base.start == 0 else (1, 1)
    if (info.major, info.minor) != version:
        faults.add("version")
    if info.external_lbasize not in SECTORS:
        faults.add("sector")
    end = info.info2off + PAGE
    parts = (PAGE, info.dataoff, info.mapoff, info.logoff, info.info2off,
             ARENA_MAX - PAGE)
    sane = all(a <= b for a, b in zip(parts, parts[1:])) and \
        all(part % PAGE == 0 for part in parts)
    if not sane or info.infosize != PAGE or info.external_nlba == 0 or \
            info.nfree == 0 or info.nfree > 65536 or \
            info.external_nlba + info.nfree != info.internal_nlba or \
            info.internal_nlba > MASK + 1 or \
            info.internal_lbasize < info.external_lbasize or \
            info.internal_nlba * info.internal_lbasize > \
            info.mapoff - info.dataoff or \
            4 * info.external_nlba > info.logoff - info.mapoff or \
            64 * info.nfree > info.info2off - info.logoff or \
            end < ARENA_MIN or info.nextoff not in (0, end):
        faults.add("numbers")
    elif image.base.pool and info.external_lbasize != image.base.sector:
        faults.add("numbers")
    # There is only one arena in these images.
    if end > image.size - image.base.start or info.nextoff != 0:
        faults.add("arena")
    return faults


def log_faults(model, view, info, slots):
    """Rules that refuse a log that the model takes, and its free blocks."""
    faults = set()
    free = []
    for _, entry, new in model.logs(view, info, slots):
        if not any(entry[0]):
            faults.add("no-entry")
        pair = entry[slots[0]][3], entry[slots[1]][3]
        if pair not in ((1, 0), (0, 1), (0, 2), (0, 3), (1, 2), (2, 3), (3, 1),
                        (2, 1), (3, 2), (1, 3)):
            faults.add("odd-seq")
        lba, old, block, _ = entry[slots[new]]
        if lba >= info.external_nlba:
            faults.add("lba")
        if old & MASK >= info.internal_nlba or \
                block & MASK >= info.internal_nlba:
            faults.add("log-block")
        free.append(old & MASK)
    if len(set(free)) < len(free):
        faults.add("free-twice")
    return faults, free


def find_backup(model, image):
    """The backup that stands in for a damaged primary, or None."""
    base = image.base
    primary = model.Info(image.read(base.start, PAGE))
    room = min(image.size - base.start, ARENA_MAX)
    places = [room // PAGE * PAGE - PAGE] if room >= ARENA_MIN else []
    if primary.sig_ok:
        places.append(primary.info2off)
    for place in places:
        off = base.start + place
        if off + PAGE > image.size or off + PAGE > 1 << 62:
            continue
        info = model.Info(image.read(off, PAGE))
        version = (2, 0) if base.start == 0 else (1, 1)
        if info.ok and info.info2off == place and \
                (info.major, info.minor) == version and \
                not (base.pool and info.parent_uuid != bytes(range(16))):
            return info
    return None


class Expected:
    def __init__(self):
        self.rules = set()   # that apply
        self.model = None    # True: attaches
        self.opens = False
        self.info = self.view = self.slots = None


def expect(model, image):
    """What the model says, what libbtt must say, and by which rules."""
    out = Expected()
    view = make_view(model, image)
    info = model.Info(view.rd(image.base.start, PAGE))
    out.model = info.ok
    if not info.ok:
        info = find_backup(model, image)
        if info is None:
            return out
        out.rules.add("backup")
        view = make_view(model, image, (image.base.start, info.blk))
    info.off = image.base.start
    out.info, out.view = info, view
    faults = number_faults(model, image, info)
    out.rules |= faults
    # Nothing is where numbers say that make no sense; the kernel's probe
    # fails where a part is not in the namespace.
    if faults - {"version", "sector"}:
        out.model = out.model and info.nextoff == 0 and \
            info.off + info.logoff + 64 * info.nfree <= image.size and \
            info.off + info.mapoff + 4 * info.external_nlba <= image.size
        return out
    out.slots = model.logidx(view, info)
    if out.slots is None or \
            any(new is None for _, _, new in model.logs(view, info, out.slots)):
        out.model = False
        return out
    faults, out.free = log_faults(model, view, info, out.slots)
    out.rules |= faults
    if out.rules - {"backup"}:
        return out
    out.before = model.mapwords(view, info)
    out.map = list(out.before)
    _, out.recovered = model.recover(view, info, out.map)
    moved = [word & MASK for word, old in zip(out.map, out.before)
             if word != old]
    if len(set(moved) | set(out.free)) < len(moved) + len(out.free):
        out.rules.add("pending-twice")
        return out
    out.opens = True
    return out


def contents(model, image, out):
    info = out.info
    size = SECTORS[info.external_lbasize]
    total = START
    zero = sum_words([0] * (size // 8))
    for lba, word in enumerate(out.map):
        block, flags = model.post(word, lba), word >> 30
        if block >= info.internal_nlba:
            out.rules.add("map-block")
            found = UNREADABLE
        elif flags == 1:
            found = UNREADABLE
        elif flags == 2:
            found = zero
        elif flags == 0 and image.base.pool:
            out.rules.add("pool")
            found = zero
        else:
            found = image.block_sum(
                info.off + info.dataoff + block * info.internal_lbasize, size)
        total = (total ^ found) * PRIME & M64
    return total


def expected_findings(model, out):
    """How often check names what is wrong with the map, and with owners."""
    info = out.info
    seen = set(out.free)
    nrange = ntwice = 0
    for lba, word in enumerate(out.map):
        block = model.post(word, lba)
        if block >= info.internal_nlba:
            nrange += 1
        elif block in seen:
            ntwice += 1
        else:
            seen.add(block)
    nlost = info.internal_nlba - len(seen)
    return (min(nrange, REPORTED),
            min(ntwice, REPORTED) + min(nlost, REPORTED))


def parse(line):
    """The words of a verdict, and the reasons that are in quotes."""
    out = {}
    for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|(\S*))', line):
        out[name] = quoted or plain
    return out


def judge(model, image, out, line):
    """The first thing that differs without a rule, or None."""
    verdict = parse(line)
    if "media" in verdict:
        return None if image.size == 0 else "the medium does not open"
    found = [name for name in verdict["found"].split(",") if name]
    if not out.opens:
        if int(verdict["open"]) == 0:
            return "it is opened, in spite of %s" % (out.rules or "the model")
        if int(verdict["check"]) == 0 and int(verdict["damage"]) == 0:
            return "it is refused, and check finds nothing"
        return None
    if int(verdict["open"]) < 0:
        return "it is refused"
    info = out.info
    wanted = {
        "arena": "%d,%d,%d,%d" % (info.off, info.external_nlba,
                                  info.internal_nlba, info.nfree),
        "narena": "1",
        "recovered": str(out.recovered),
        "free": "%016x" % sum_words(out.free),
        "contents": "%016x" % contents(model, image, out),
        "pending": str(out.recovered),
        "states": ",".join(str(sum(word >> 30 == flags for word in out.before))
                           for flags in (3, 0, 2, 1)),
        "check": "0",
    }
    for name, value in wanted.items():
        if verdict.get(name) != value:
            return "%s is %s, not %s" % (name, verdict.get(name), value)
    nrange, nowner = expected_findings(model, out)
    if found.count("map-range") != nrange:
        return "check finds %d entries out of range, not %d" % (
            found.count("map-range"), nrange)
    if found.count("bitmap") != nowner:
        return "check finds %d wrong owners, not %d" % (
            found.count("bitmap"), nowner)
    if ("info" in found) != ("backup" in out.rules):
        return "check has another opinion of the primary info block"
    return None


# ---- the commands ----

def make_images(model, directory):
    bases = (Base(model, 4096, 1, 0), Base(model, 4096, 1, 3000),
             Base(model, 4096, 2, 2000), Base(model, 4160, 1, 1500),
             Base(model, 4096, 1, 1000, pool=True), Base(model, 512, 1, 4000))
    # Mostly those of 4096 bytes: the others have eight times the sectors.
    weights = (4, 8, 4, 4, 4, 1)
    images = [Image(base, os.path.join(directory, "base%d" % i), model)
              for i, base in enumerate(bases)]
    return images, weights


def numbers_of(argument, count):
    """SEED, or SEED:NUMBER for one of its images."""
    seed, _, number = argument.partition(":")
    first = int(number or 0)
    return int(seed), range(first, first + count)


def run(program, model, count, seed):
    seed, numbers = numbers_of(seed, count)
    used = dict.fromkeys(RULES, 0)
    agreed = opened = failed = 0
    with tempfile.TemporaryDirectory(
            dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as directory:
        images, weights = make_images(model, directory)
        child = subprocess.Popen([program], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True, bufsize=1)
        for number in numbers:
            which = random.Random(number).choices(range(len(images)),
                                                  weights)[0]
            image = images[which]
            what = damage(image, seed, number)
            child.stdin.write("%s/base%d\n" % (directory, which))
            child.stdin.flush()
            out = expect(model, image)
            line = child.stdout.readline()
            if not line:
                sys.exit("image %d:%d (%s): the program died" % (
                    seed, number, ", ".join(what)))
            wrong = judge(model, image, out, line)
            if wrong is not None:
                failed += 1
                print("image %d:%d (base %d; %s): %s\n    %s" % (
                    seed, number, which, ", ".join(what), wrong, line.strip()))
                with open("differential.img", "wb") as file:
                    file.write(image.read(0, image.size))
            opened += out.opens
            agreed += out.opens == bool(out.model) and wrong is None
            for rule in out.rules:
                used[rule] += 1
            image.restore()
        child.stdin.close()
        child.wait()
    print("%d images: %d are opened; libbtt and the model agree on %d, "
          "and rules say why not on the others:" % (
              len(numbers), opened, agreed))
    for rule, n in used.items():
        print("%7d  %s: %s" % (n, rule, RULES[rule]))
    print("%d differ without a reason" % failed)
    if len(numbers) >= 10000 and not all(used.values()):
        failed += 1
        print("there are rules that no image needs")
    return failed == 0


def sample(directory, model, count, seed):
    seed, numbers = numbers_of(seed, 100 * count)
    os.makedirs(directory, exist_ok=True)
    images, _ = make_images(model, directory)
    # The kernel sees neither v2.0 nor a pool without labels.
    images = [images[1], images[1], images[3]]
    left = {True: count * 3 // 4, False: count - count * 3 // 4}
    for number in numbers:
        image = images[number % len(images)]
        damage(image, seed, number)
        out = expect(model, image)
        attaches = bool(out.model)
        # An NVDIMM has whole pages.  A sector size of 16 MiB is nothing that
        # Linux 6.1 looks at: it attaches, and dies of it.
        if left[attaches] > 0 and image.size % PAGE == 0 and \
                "sector" not in out.rules:
            left[attaches] -= 1
            with open("%s/s%05d.img" % (directory, number), "wb") as file:
                file.write(image.read(0, image.size))
        image.restore()
    for i in range(6):
        os.unlink(os.path.join(directory, "base%d" % i))
    return not any(left.values())


class FileImage:
    """An image that is a file, as far as the model looks at it."""

    class Base:
        start = PAGE

    def __init__(self, path):
        self.base = self.Base
        with open(path, "rb") as file:
            self.bytes = file.read()
        self.size = len(self.bytes)

    def read(self, off, n):
        data = self.bytes[off:off + n]
        return data + bytes(n - len(data))

    def write(self, off, data):
        self.bytes = self.bytes[:off] + data + self.bytes[off + len(data):]


def expect_kernel(model, image, rules):
    """The states of all sectors as the kernel shows them, or None."""
    view = make_view(model, image)
    info = model.Info(view.rd(PAGE, PAGE))
    info.off = PAGE
    if not info.ok:
        return None
    for rule, applies in (
            ("small", image.size < ARENA_MIN + PAGE),
            ("place", (info.major, info.minor) != (1, 1)),
            ("nfree", info.nfree < 256),
            ("next", info.nextoff != 0),
            ("outside", PAGE + max(info.mapoff + 4 * info.external_nlba,
                                   info.logoff + 64 * info.nfree)
             > image.size)):
        if applies:
            rules[rule] += 1
            return None
    slots = model.logidx(view, info)
    if slots is None or \
            any(new is None for _, _, new in model.logs(view, info, slots)):
        return None
    words = model.mapwords(view, info)
    model.recover(view, info, words)
    # A block that is not there may lie in the map, where recovery writes, and
    # so does a read that fails: it marks the sector.
    image.write(PAGE + info.mapoff, struct.pack("<%dI" % len(words), *words))
    size = PAGE if info.external_lbasize >= PAGE else 512
    states = []
    for lba, word in enumerate(words):
        off = info.off + info.dataoff + \
            model.post(word, lba) * info.internal_lbasize
        if word >> 30 == 1:
            states.append("EIO")
        elif word >> 30 == 2:
            states.append("zero")
        elif off + size > image.size:
            rules["beyond"] += 1
            states.append("EIO")
            image.write(PAGE + info.mapoff + 4 * lba,
                        struct.pack("<I", word & MASK | 1 << 30))
        else:
            states.append(model.state(image.read(off, size), lba))
    return states


def read_manifest(path):
    states = []
    with open(path) as file:
        for line in file:
            if line.startswith("#"):
                continue
            where, _, state = line.strip().partition(" ")
            first, _, last = where.partition("-")
            states += [state] * (int(last or first) - int(first) + 1)
    return states


def compare(directory, model, paths):
    with open(os.path.join(directory, "out")) as file:
        modes = dict(re.findall(r"^RESULT img(\d+) mode=(\S+)", file.read(),
                                re.M))
    rules = dict.fromkeys(KERNEL_RULES, 0)
    failed = attached = 0
    for i, path in enumerate(paths):
        wanted = expect_kernel(model, FileImage(path), rules)
        is_attached = modes.get(str(i)) == "sector"
        wrong = None
        if is_attached != (wanted is not None):
            wrong = "its mode is %s" % modes.get(str(i))
        elif is_attached:
            attached += 1
            found = read_manifest(os.path.join(directory, "manifest.%d" % i))
            wrong = next(("sector %d is %s, not %s" % (k, a, b)
                          for k, (a, b) in enumerate(zip(found, wanted))
                          if a != b), None)
            if len(found) != len(wanted):
                wrong = "it has %d sectors, not %d" % (len(found), len(wanted))
        if wrong is not None:
            failed += 1
            print("%s: %s" % (path, wrong))
    print("%d images: the kernel attaches %d, and %d differ from the model" % (
        len(paths), attached, failed))
    for rule, n in rules.items():
        if n > 0:
            print("%7d  %s: %s" % (n, rule, KERNEL_RULES[rule]))
    return failed == 0


COMMANDS = {"run": run, "sample": sample}


def main(arguments):
    if len(arguments) < 3 or arguments[0] not in ("run", "sample", "compare"):
        sys.exit(__doc__)
    if not os.path.exists(arguments[2]):
        print("skipped: needs", arguments[2])
        return 77
    model = load_model(arguments[2])
    if arguments[0] == "compare":
        return 0 if compare(arguments[1], model, arguments[3:]) else 1
    count = int(arguments[3]) if len(arguments) > 3 else 10000
    seed = arguments[4] if len(arguments) > 4 else "1"
    return 0 if COMMANDS[arguments[0]](arguments[1], model, count, seed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
