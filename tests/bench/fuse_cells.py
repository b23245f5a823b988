# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmark's FUSE half asks of a file, and the goals.

A goal is the least rate of bttfs by that of another, which the report shows as
met or not; nothing fails on one.
"""
from collections import namedtuple

# bed: what is below, "ram" or "disk"; work: pattern, block, engine, depth, jobs
# and more options of fio; is_scattered: whatever has an order for its sectors
# has been made to lose it.
Cell = namedtuple("Cell", "bed sector work is_scattered", defaults=[False])


def wide():
    """All of them by name, in the order in which they are measured.

    Those that read and write in order come first: the image was written so, and
    nothing but a new one gets its order back once small random writes have
    given each sector another block.
    """
    cells = {}
    for size, sector, kind, pattern in (
            ("128K", 4096, "", ""), ("1M", 4096, "", ""),
            ("4K", 4096, " random", "rand"), ("512", 512, " random", "rand")):
        for side in ("read", "write"):
            # Cached I/O is one request at a time, whatever the depth.
            for depth, cached in ((1, ""), (16, ""), (1, ", cached")):
                for njob in (1, 2, 4):
                    jobs = f", {njob} job" + ("s" if njob > 1 else "")
                    deep = ", depth 16" if depth > 1 else ""
                    if deep and njob == 1:
                        jobs = ""
                    work = (f"{pattern}{side} {size.lower()} "
                            f"{'libaio' if deep else 'psync'} {depth} {njob}")
                    if cached:
                        work += " --direct=0"
                    cells[f"{size}{kind} {side}{deep}{jobs}{cached}"] = \
                        Cell("ram", sector, work)
    for size in ("128K", "1M"):
        cells[f"{size} read, scattered"] = Cell(
            "ram", 4096, f"read {size.lower()} psync 1 1", True)
    for njob in (1, 4):
        for often, name in ((1, "each synced"), (256, "every 256 synced")):
            jobs = ", 4 jobs" if njob > 1 else ""
            cells[f"4K random write, {name}{jobs}"] = Cell(
                "disk", 4096,
                f"randwrite 4k psync 1 {njob} --fdatasync={often}")
    return cells


CELLS = wide()

QUICK = ("4K random read, 1 job", "4K random write, 4 jobs",
         "512 random write, 1 job", "1M read, 1 job",
         "4K random write, every 256 synced")

# cell: least rate of ours by that of each; of those that have none, the rate is
# worth knowing.
GOALS = {
    "4K random read, 1 job":
        {"memory": 0.9, "memory-ring": 0.9, "qsd": 1, "qsd-native": 1},
    "4K random read, 4 jobs":
        {"memory": 0.9, "memory-ring": 0.9, "qsd": 1, "qsd-native": 1},
    "4K random read, depth 16":
        {"memory": 0.9, "memory-ring": 0.9, "qsd": 1, "qsd-native": 1},
    "4K random write, 1 job": {"memory": 0.85, "memory-ring": 0.9},
    "4K random write, 4 jobs":
        {"memory": 0.85, "memory-ring": 0.9, "qsd": 6, "qsd-native": 6},
    "4K random write, depth 16":
        {"memory": 0.85, "memory-ring": 0.9, "qsd": 3, "qsd-native": 3},
    "128K read, 1 job":
        {"memory": 0.9, "qsd": 1, "qsd-native": 1, "nbdfuse": 1},
    "128K write, 1 job":
        {"memory": 0.7, "qsd": 1, "qsd-native": 1, "nbdfuse": 1},
    "1M read, 1 job":
        {"memory": 0.9, "qsd": 1, "qsd-native": 1, "nbdfuse": 1},
    "1M write, 1 job":
        {"memory": 0.7, "qsd": 1, "qsd-native": 1, "nbdfuse": 1},
    "128K read, scattered": {},
    "1M read, scattered": {},
    "4K random write, each synced": {"file": 0.3},
    "4K random write, every 256 synced": {"file": 0.8},
}

# Most processor time of bttfs-ring by that of bttfs.
RING_CPU_GOAL = 0.6


def has_words(cell, words):
    """All of them, and none that begins with a minus."""
    have = cell.replace(",", "").split()
    return all(word[1:] not in have if word[0] == "-" else word in have
               for word in words.split())


def choose(is_quick, is_wide, words):
    """The cells of GOALS; with words any that have them."""
    return [cell for cell in CELLS
            if (cell in QUICK if is_quick
                else is_wide or words or cell in GOALS)
            and has_words(cell, words or "")]
