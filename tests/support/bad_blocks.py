#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Bad blocks of a device, as its users and a monitor see them.

usage: bad_blocks.py SOCKET NAME FILE

Plants, reads, writes and clears, and compares what the monitor tells with what
was done: each change once, in this order, in numbers without gaps.  The device
has sectors of 4096 bytes, at least 300 of them, and nothing planted.
"""
import errno
import mmap
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import control

SECTOR = 4096
SOCKET, NAME, FILE = sys.argv[1:4]

link = control.Control(SOCKET)
watcher = control.Control(SOCKET)
watcher.ask("monitor")
wanted_seq = watcher.hear()["seq"]
fd = os.open(FILE, os.O_RDWR | os.O_DIRECT)
memory = mmap.mmap(-1, SECTOR)
EVENT, JOB = map(control.load, ("event", "job"))


def read(sector):
    """Its first byte, or the name of an error."""
    try:
        os.preadv(fd, [memory], sector * SECTOR)
    except OSError as error:
        return errno.errorcode[error.errno]
    return memory[0]


def write(sector, byte):
    memory[:] = bytes([byte]) * SECTOR
    os.pwritev(fd, [memory], sector * SECTOR)


def same(what, expected, found):
    if expected != found:
        sys.exit(f"{what}: {found!r}, not {expected!r}")


def events():
    """What was told since the last call, up to the end of a job of no account."""
    global wanted_seq
    mark = link.call("inject-error", name=NAME, area="raw", block=0, count=1,
                     uninject=True)["job"]["job"]
    found = []
    while True:
        event = watcher.hear()["event"]
        control.check(event, EVENT)
        same("number of an event", wanted_seq, event["seq"])
        wanted_seq += 1
        name, = event["event"]
        detail = event["detail"]
        if name == "job-finished":
            if detail["job"] == mark:
                return found
            found.append((name, detail["verb"], detail["state"]))
        elif name.startswith("badblock-"):
            same("device of an event", NAME, event["namespace"]["dev"])
            blocks = sum(r["length"] for r in detail["badblocks"])
            found.append((name, detail["cause"], detail["area"], blocks))
        else:
            found.append((name,))


def call(verb, **args):
    result = link.call(verb, name=NAME, **args)
    control.check(result["job"], JOB)
    return result["job"]


def listed():
    device, = link.call("list", name=NAME, media_errors=True)
    return device["badblock_count"], len(device["badblocks"])


def take_back():
    call("inject-error", area="raw", count=0, uninject=True)


INJECTED = ("job-finished", "inject-error", "done")
CLEARED = ("job-finished", "clear-errors", "done")
for sector in range(64):
    write(sector, 1 + sector)
os.fsync(fd)
events()

# Planted: EIO at exactly that sector, until it is written.
call("inject-error", block=5)
same("listed", (8, 1), listed())
for sector in range(4, 7):
    same(f"sector {sector}", "EIO" if sector == 5 else 1 + sector,
         read(sector))
same("events of an injection",
     [("badblock-added", "injected", "data", 8), INJECTED], events())
write(5, 77)
os.fsync(fd)
same("sector 5 when it was written", 77, read(5))
# The block is nobody's now, and bad.
take_back()
same("events of taking back",
     [("badblock-cleared", "uninjected", "data", 8), INJECTED], events())
same("listed", (0, 0), listed())

# The block that was freed is cleared by whoever gets it.
call("inject-error", block=6, count=2)
write(6, 66)
write(7, 67)
os.fsync(fd)
for turn in range(4000):
    if listed() == (0, 0):
        break
    write(200 + turn % 50, 1)
    if turn % 64 == 0:
        os.fsync(fd)
same("listed after many writes", (0, 0), listed())
found = events()
same("what was added", [("badblock-added", "injected", "data", 8)] * 2
     + [INJECTED], found[:3])
same("what was cleared", [("badblock-cleared", "written", "data", 8)] * 2,
     found[3:])

# Cleared by command: what was lost is said, and is zeroes.
call("inject-error", block=9)
same("sector 9", "EIO", read(9))
job = call("clear-errors")
same("lost", (1, 0), (job["result"]["lost"], job["result"]["left"]))
if "sector 9 lost" not in job["message"]:
    sys.exit(f"clear-errors says {job['message']!r}")
same("sector 9 when it was cleared", 0, read(9))
same("sector 10", 11, read(10))
same("events of clearing",
     [("badblock-added", "injected", "data", 8), INJECTED,
      ("badblock-cleared", "written", "data", 8), CLEARED], events())

# Metadata: the log comes back from memory, an info block from its copy; a map
# that is lost is lost to all its sectors.
call("inject-error", area="log", block=3)
call("inject-error", area="info", block=1)
call("inject-error", area="map", block=130)
same("sector 130", "EIO", read(130))
try:
    write(130, 1)
    sys.exit("a sector without a map entry can be written")
except OSError as error:
    same("write of sector 130", errno.EIO, error.errno)
job = call("clear-errors")
same("restored", (1, 1, 1, 0, 128), tuple(
    job["result"][key] for key in ("log", "info", "map", "left", "lost")))
found = events()
same("events of metadata", [
    ("badblock-added", "injected", "log", 1), INJECTED,
    ("badblock-added", "injected", "info", 8), INJECTED,
    ("badblock-added", "injected", "map", 1), INJECTED], found[:6])
same("events of restoring", sorted([
    ("badblock-cleared", "written", "log", 1),
    ("badblock-cleared", "written", "info", 8),
    ("badblock-cleared", "written", "map", 1), CLEARED]), sorted(found[6:]))
same("sector 130 when it was cleared", 0, read(130))

# Latent: a scrub finds it, nobody else does.
call("inject-error", block=11, latent=True)
same("sector 11", 12, read(11))
same("listed", (0, 0), listed())
job = call("start-scrub", wait=True, rate=1 << 40)
same("found", (1, 1, 8, 0), tuple(job["result"][key] for key in (
    "unreadable", "marked", "badblocks", "metadata")))
same("sector 11 after the scrub", "EIO", read(11))
same("events of a scrub", [
    INJECTED, ("scrub-started",), ("badblock-added", "found", "data", 8),
    ("scrub-finished",), ("job-finished", "scrub", "done")], events())
take_back()
same("sector 11, whose mark stays", "EIO", read(11))
write(11, 12)

# Refusals.
for args, wanted in (({"block": 1 << 60}, "ERANGE"),
                     ({"block": 1, "area": "frob"}, "EINVAL"),
                     ({"block": 1, "count": 0}, "EINVAL")):
    try:
        call("inject-error", **args)
        sys.exit(f"inject-error {args} works")
    except control.Refused as refused:
        same(f"inject-error {args}", wanted, refused.errno)
os.fsync(fd)
os.close(fd)
