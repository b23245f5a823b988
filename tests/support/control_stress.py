#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Nine clients against one daemon: devices come and go under each other's hands.

usage: control_stress.py SOCKET MOUNT DIRECTORY SECONDS SEED BTTCTL

DIRECTORY has the images vol0, vol1, ...  Attach, detach (by force too), list,
stats, check of what is detached, errors planted and cleared, data written and
read back, and monitors that compare the events with what they are to be.
Scrubs are begun and cancelled, too.  Everything is allowed to be refused for a
reason that somebody else's doing gives; anything else ends it with status 1.
"""
import errno
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import control

SOCKET, MOUNT, DIRECTORY = sys.argv[1:4]
SECONDS, SEED, BTTCTL = float(sys.argv[4]), int(sys.argv[5]), sys.argv[6]
NAMES = sorted(name for name in os.listdir(DIRECTORY)
               if name.startswith("vol"))
END = time.monotonic() + SECONDS

counts = {}
counts_lock = threading.Lock()
wrong = []


def count(what):
    with counts_lock:
        counts[what] = counts.get(what, 0) + 1


def give_up(text):
    wrong.append(text)


def attempt(what, excuses, call):
    """Does it, or is refused for one of these reasons."""
    try:
        result = call()
    except control.Refused as refused:
        if refused.errno not in excuses:
            give_up(f"{what}: {refused.error}")
        count(f"{what}: {refused.errno}")
        return None
    count(what)
    return result


def come_and_go(link, dice):
    name = dice.choice(NAMES)
    if dice.random() < 0.55:
        wait = dice.random() < 0.8
        attempt("attach", {"EEXIST", "EBUSY", "ECANCELED"}, lambda: link.call(
            "attach", path=os.path.join(DIRECTORY, name), wait=wait,
            options=dice.choice(["sparse", "sparse,ro",
                                 "sparse,durability=write"])))
    else:
        attempt("detach", {"ENODEV", "EBUSY"}, lambda: link.call(
            "detach", name=name, force=dice.random() < 0.5,
            wait=dice.random() < 0.8))


def look(link, dice):
    verb = dice.choice(["list", "stats", "jobs"])
    result = link.call(verb)
    count(verb)
    if verb == "list":
        for device in result:
            control.check(device, DEVICE)
            if device["state"] in ("live", "readonly"):
                control.check(device, LIVE)
    elif dice.random() < 0.1:
        attempt("settle", {"ETIMEDOUT"},
                lambda: link.call("settle", timeout_ms=2000))


def use(link, dice):
    """A device may go under us: then, and only then, ENODEV, or no file."""
    name = dice.choice(NAMES)
    block = bytes([dice.randrange(256)]) * 4096
    excuses = {errno.ENOENT, errno.ENODEV, errno.EROFS, errno.EIO}
    try:
        fd = os.open(os.path.join(MOUNT, name), os.O_RDWR)
        try:
            at = dice.randrange(512) * 4096
            os.pwrite(fd, block, at)
            found = os.pread(fd, 4096, at)
            # Other hands may have written, but whole sectors.
            if found != found[:1] * 4096:
                give_up(f"{name}: a sector is torn")
            os.fsync(fd)
        finally:
            os.close(fd)
        count("data")
    except OSError as error:
        if error.errno not in excuses:
            give_up(f"{name}: {error}")
        count(f"data: {errno.errorcode[error.errno]}")


def inspect(link, dice):
    """What is attached is locked, what is not is clean."""
    path = os.path.join(DIRECTORY, dice.choice(NAMES))
    status = subprocess.run([BTTCTL, "check", "--quiet", path],
                            stderr=subprocess.DEVNULL,
                            check=False).returncode
    if status not in (0, 8):
        give_up(f"{path}: check says {status}")
    count("check" if status == 0 else "check: in use")


def trouble(link, dice):
    """Bad blocks of all areas, planted, noticed or not, taken back, cleared."""
    name = dice.choice(NAMES)
    area, most = dice.choice([("data", 1000), ("map", 1000), ("log", 256),
                              ("info", 2), ("raw", 30000)])
    if dice.random() < 0.5:
        attempt("inject", {"ENODEV", "ENOSPC", "EBUSY"}, lambda: link.call(
            "inject-error", name=name, area=area,
            block=dice.randrange(most), count=1, latent=dice.random() < 0.3,
            uninject=dice.random() < 0.3))
    else:
        attempt("clear", {"ENODEV", "EROFS", "EIO", "ECANCELED",
                          "EBUSY"},
                lambda: link.call("clear-errors", name=name))


def read_all(link, dice):
    """Scrubs, waited for, stopped, or left to their fate."""
    name = dice.choice(NAMES)
    what = dice.random()
    if what < 0.6:
        attempt("scrub", {"ENODEV", "EBUSY", "ECANCELED"}, lambda: link.call(
            "start-scrub", name=name, rate=dice.choice([1 << 20, 1 << 40]),
            wait=dice.random() < 0.3))
    elif what < 0.8:
        attempt("wait-scrub", {"ENODEV", "ECANCELED", "ETIMEDOUT"},
                lambda: link.call("wait-scrub", name=name, timeout_ms=300))
    else:
        for job in link.call("jobs"):
            if job["verb"] == "scrub" and job["state"] == "running":
                attempt("cancel", {"ECANCELED", "EALREADY", "ENOENT"},
                        lambda job=job: link.call("cancel", job=job["job"]))
                break


def let_go():
    """At the end nobody waits for as long as a slow scrub may take."""
    link = control.Control(SOCKET)
    while any(thread.is_alive() for thread in threads) and not wrong:
        for job in link.call("jobs"):
            if job["verb"] == "scrub" and job["state"] in ("queued", "running"):
                attempt("cancel", {"ECANCELED", "EALREADY", "ENOENT"},
                        lambda job=job: link.call("cancel", job=job["job"]))
        time.sleep(0.1)
    link.close()


def work(number, what):
    dice = random.Random(SEED * 100 + number)
    link = control.Control(SOCKET)
    while time.monotonic() < END and not wrong:
        try:
            what(link, dice)
        except (EOFError, OSError, ValueError) as error:
            give_up(f"client {number}, {what.__name__}: {error!r}")
    link.close()


def monitor():
    """Numbers without gaps, and of each device states that follow each other."""
    follows = {
        "namespace-attaching": {"namespace-attached", "namespace-failed",
                                "namespace-detaching", "namespace-detached"},
        "namespace-attached": {"namespace-detaching", "namespace-read-only"},
        "namespace-read-only": {"namespace-detaching"},
        "namespace-failed": {"namespace-detaching", "namespace-detached"},
        "namespace-detaching": {"namespace-detached"},
        "namespace-detached": {"namespace-attaching"},
    }
    link = control.Control(SOCKET)
    link.ask("monitor")
    wanted = link.hear()["seq"]
    last = {}
    while time.monotonic() < END and not wrong:
        link.socket.settimeout(max(1, END - time.monotonic() + 5))
        try:
            event = link.hear()["event"]
        except TimeoutError:
            break
        name, = event["event"]
        if name == "events-lost":
            count("events-lost")
            wanted = event["seq"] + 1
            last.clear()
            continue
        if event["seq"] != wanted:
            give_up(f"event {event['seq']}, not {wanted}")
        wanted += 1
        control.check(event, EVENT)
        count("event")
        if name in follows:
            device = event["namespace"]["dev"]
            before = last.get(device)
            if before is not None and name not in follows[before]:
                give_up(f"{device}: {name} after {before}")
            last[device] = name
    link.close()


DEVICE, LIVE, EVENT = map(control.load, ("device", "device_live", "event"))
threads = [threading.Thread(target=work, args=(i, what)) for i, what in
           enumerate([come_and_go, come_and_go, come_and_go, look, use, use,
                      inspect, trouble, read_all])]
threads.append(threading.Thread(target=monitor))
for thread in threads:
    thread.start()
while time.monotonic() < END and not wrong:
    time.sleep(0.1)
try:
    let_go()
except (EOFError, OSError, ValueError) as error:
    give_up(f"at the end: {error!r}")
for thread in threads:
    thread.join()
for what in sorted(counts):
    print(f"  {counts[what]:8} {what}")
for text in wrong:
    print(f"wrong (seed {SEED}): {text}", file=sys.stderr)
sys.exit(1 if wrong else 0)
