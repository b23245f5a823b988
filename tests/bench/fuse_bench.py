#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A file in a FUSE mount: bttfs, the floor, and the peers on this machine.

usage: fuse_bench.py [--quick] [--wide] [--json FILE] [--plot FILE.svg]
                     [--rounds N] [--slice SECONDS] [--size MIB] [--disk DIR]
                     [--filter WORDS] [--subjects NAME,...] [--loop] [--calls]
                     [--list] BUILD

BUILD holds tests/memory_server and daemon/bttfs.  Every round measures each
cell with each subject, one after the other, in reverse order every other time.
A line shows the median of each, and in brackets bttfs's rate by the other's:
the median of the rounds' ratios.  Believe that, not the rates.  Where there is
a goal for that, it is shown with whether it is met.

memory is the floor of all: a server of our own that copies and does nothing
else; memory-ring and bttfs-ring use the kernel's io_uring transport, for which
its parameter fuse.enable_uring is set meanwhile.  Those named -file, and file,
the floor there, are on files in DIR (/var/tmp), at most 256 MiB each; "disk" is
what that disk wrote for each request, whoever wanted it, "own" what the server
made dirty, of which a large folio counts whole.

Sectors that follow each other lie so, as they were written at first, until the
cells of random writes; of "scattered" cells none does.

The cells are the most telling ones; --wide takes all, --filter those of all
that have each of WORDS and none that has a minus, as "4K -cached"; --list shows
them.  --loop puts a loop device on each.  --calls counts system calls of a
request instead.  Needs root, fio.
"""
import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import fuse_disks
import fuse_servers
import plots
from fuse_cells import CELLS, GOALS, RING_CPU_GOAL, choose
from fuse_disks import disk_bytes
from fuse_servers import Missing, PARAMETER, Subject, needs

KINDS = fuse_servers.ALL + fuse_disks.ALL

class Slice:
    """What fio found: requests a second, their latency, our processor time."""

    def __init__(self, report, cpu_seconds, dirtied_bytes, disk_bytes):
        jobs = report["jobs"]
        sides = [job[side] for job in jobs for side in ("read", "write")
                 if job[side]["total_ios"] > 0]
        if not sides or any(job["error"] for job in jobs):
            raise RuntimeError("fio failed")
        n = sum(side["total_ios"] for side in sides)
        self.rate = sum(side["iops"] for side in sides)
        self.bytes = sum(side["bw_bytes"] for side in sides)
        latency = sides[0]["clat_ns"].get("percentile", {})
        self.p50_us = latency.get("50.000000", 0) / 1000
        self.p99_us = latency.get("99.000000", 0) / 1000
        self.cpu_us = cpu_seconds * 1e6 / n
        self.dirtied = dirtied_bytes / n
        self.disk = disk_bytes / n


def fio(path, size, work, seconds):
    words = work.split()
    pattern, block, engine, depth, njob = words[:5]
    # Sequential jobs each have a part of their own.
    part = size // int(njob) if pattern in ("read", "write") else size
    argv = ["fio", "--name=x", f"--filename={path}", "--allow_file_create=0",
            f"--rw={pattern}", f"--bs={block}", f"--ioengine={engine}",
            f"--iodepth={depth}", f"--numjobs={njob}", f"--size={part}",
            f"--offset_increment={part if part < size else 0}",
            "--direct=1", "--time_based", f"--runtime={round(seconds * 1000)}ms",
            "--group_reporting", "--randrepeat=0", "--norandommap",
            "--output-format=json", *words[5:]]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr}{done.stdout}")
    # Notes may precede the document.
    return json.loads(done.stdout[done.stdout.index("{"):])


def measure(subject, path, work, seconds):
    cpu, dirtied = subject.cpu_seconds(), subject.dirtied_bytes()
    disk = disk_bytes()
    report = fio(path, subject.size, work, seconds)
    return Slice(report, subject.cpu_seconds() - cpu,
                 subject.dirtied_bytes() - dirtied, disk_bytes() - disk)


class Loops:
    """Loop devices on the subjects' files, or nothing."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.devices = {}

    def path(self, subject, sector):
        path = subject.path(sector)
        if not self.wanted:
            return path
        if (path, sector) not in self.devices:
            self.devices[path, sector] = subprocess.run(
                ["losetup", "--find", "--show", "--direct-io=on",
                 f"--sector-size={sector}", path],
                check=True, capture_output=True, text=True).stdout.strip()
        return self.devices[path, sector]

    def detach(self):
        for device in self.devices.values():
            subprocess.run(["losetup", "-d", device])


def human(rate, nbyte, work):
    if work.split()[1] in ("128k", "1m"):
        return f"{nbyte / 1e6:.0f} MB/s"
    return f"{rate / 1000:.1f} k/s"


def run_cell(cell, subjects, loops, args):
    """Slices by subject, one a round."""
    if CELLS[cell].is_scattered:
        for subject in subjects:
            subject.scatter(CELLS[cell].sector)
    slices = {subject.name: [] for subject in subjects}
    for number in range(args.rounds):
        order = subjects if number % 2 == 0 else subjects[::-1]
        for subject in order:
            slices[subject.name].append(measure(
                subject, loops.path(subject, CELLS[cell].sector),
                CELLS[cell].work, args.slice))
    return slices


def ratio_of(ours, others, what):
    """Median of the rounds' ratios; 0 where it is too little to measure."""
    return statistics.median(
        getattr(our, what) / getattr(other, what) if getattr(other, what)
        else 0 for our, other in zip(ours, others))


def row_of(cell, slices, goals):
    row = {"cell": cell, "subjects": {}}
    for name, found in slices.items():
        middle = {what: statistics.median(getattr(s, what) for s in found)
                  for what in ("rate", "bytes", "p50_us", "p99_us", "cpu_us",
                               "disk", "dirtied")}
        row["subjects"][name] = middle
        ours = next(kind.ours for kind in KINDS if kind.name == name)
        if ours == name or ours not in slices:
            continue
        middle["ratio"] = ratio_of(slices[ours], found, "rate")
        if name in goals:
            middle["goal"] = goals[name]
            middle["met"] = middle["ratio"] >= goals[name]
    if "memory-ring" in goals and {"bttfs", "bttfs-ring"} <= slices.keys():
        ratio = ratio_of(slices["bttfs-ring"], slices["bttfs"], "cpu_us")
        row["ring_cpu"] = {"ratio": ratio, "goal": RING_CPU_GOAL,
                           "met": ratio <= RING_CPU_GOAL}
    return row


def verdict(of):
    return "met" if of["met"] else "missed"


def show(row):
    cell = CELLS[row["cell"]]
    print(f"{row['cell']}:")
    for name, middle in row["subjects"].items():
        ratio = f"[{middle['ratio']:.2f}]" if "ratio" in middle else ""
        print(f"  {name:12} "
              f"{human(middle['rate'], middle['bytes'], cell.work):>12}"
              f" {ratio:7} p50 {middle['p50_us']:.1f} p99 "
              f"{middle['p99_us']:.1f} us, server {middle['cpu_us']:.1f} us",
              end="")
        if cell.bed == "disk":
            print(f", disk {middle['disk'] / 1024:.1f} K, own "
                  f"{middle['dirtied'] / 1024:.1f} K", end="")
        if "goal" in middle:
            print(f", goal {middle['goal']:.2f}: {verdict(middle)}", end="")
        print()
    if "ring_cpu" in row:
        cpu = row["ring_cpu"]
        print(f"  processor time of bttfs-ring by bttfs's {cpu['ratio']:.2f}, "
              f"goal {cpu['goal']:.2f}: {verdict(cpu)}")
    sys.stdout.flush()


def count_calls(subject, path, work):
    """System calls of the server for a request."""
    needs("strace")
    output = tempfile.NamedTemporaryFile("r")
    argv = ["strace", "-f", "-c", "-o", output.name]
    for pid in subject.pids():
        argv += ["-p", str(pid)]
    tracer = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    time.sleep(1)
    report = fio(path, subject.size, work, 1)
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
    ncall = sum(int(m.group(1)) for m in re.finditer(
        r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s.*?(?<!total)$",
        output.read(), re.M))
    n = sum(job[side]["total_ios"] for job in report["jobs"]
            for side in ("read", "write"))
    return ncall / n


def show_calls(subjects, loops):
    rows = []
    for cell in ("1M read, 1 job", "4K random read, 1 job",
                 "4K random read, depth 16", "4K random write, 1 job"):
        print(f"{cell}, system calls of a request:", end="")
        calls = {}
        for subject in subjects:
            path = loops.path(subject, CELLS[cell].sector)
            calls[subject.name] = count_calls(subject, path, CELLS[cell].work)
            print(f"  {subject.name} {calls[subject.name]:.2f}", end="")
        print(flush=True)
        rows.append({"cell": cell, "calls": calls})
    return rows


def start(work, beds, args):
    """What is wanted of these beds."""
    wanted = args.subjects.split(",") if args.subjects else \
        [kind.name for kind in KINDS if kind.is_usual]
    subjects = []
    for kind in KINDS:
        if kind.name not in wanted or kind.bed not in beds:
            continue
        size = min(args.size, 256) if kind.bed == "disk" else args.size
        subject = kind(work, size << 20)
        try:
            subject.start()
        except Missing as why:
            print(f"without {kind.name}: {why}")
            subject.stop()
            continue
        except BaseException:
            subject.stop()
            for other in subjects:
                other.stop()
            raise
        subjects.append(subject)
    return subjects


def set_parameter(value):
    """Returns what it was; None where it is not ours to set."""
    try:
        with open(PARAMETER, "r+") as file:
            before = file.read().strip()
            if value is not None and before != value:
                file.seek(0)
                file.write(value)
            return before
    except OSError:
        return None


def parse():
    parser = argparse.ArgumentParser(add_help=False)
    for flag in ("--quick", "--wide", "--loop", "--calls", "--list", "--help"):
        parser.add_argument(flag, action="store_true")
    for option in ("--json", "--plot", "--filter", "--subjects"):
        parser.add_argument(option)
    parser.add_argument("--disk", default="/var/tmp")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--slice", type=float)
    parser.add_argument("--size", type=int)
    parser.add_argument("build", nargs="?")
    args = parser.parse_args()
    if args.help or args.build is None:
        print(__doc__, end="")
        sys.exit(0 if args.help else 2)
    args.rounds = args.rounds or (1 if args.quick else 5)
    args.slice = args.slice or (0.2 if args.quick else 0.6)
    args.size = args.size or (64 if args.quick else 1024)
    return args


def run(cells, subjects, loops, args):
    if args.calls:
        return show_calls(subjects, loops)
    rows = []
    for cell in cells:
        here = [s for s in subjects if s.bed == CELLS[cell].bed]
        if not here:
            continue
        goals = {} if args.loop else GOALS.get(cell, {})
        rows.append(row_of(cell, run_cell(cell, here, loops, args), goals))
        show(rows[-1])
    return rows


def save(rows, args):
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"rows": rows}, file, indent=1)
            file.write("\n")
    if args.plot:
        plots.plot_fuse(rows, args.plot)


def main():
    args = parse()
    Subject.build, Subject.disk = args.build, args.disk
    cells = choose(args.quick, args.wide, args.filter)
    if args.list or not cells:
        print("\n".join(cells) or "no cell has these words")
        return 0 if cells else 1
    if os.geteuid() != 0:
        print("needs root")
        return 77
    try:
        needs("fio")
    except Missing as why:
        print(why)
        return 77
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    work = tempfile.mkdtemp(prefix="bttfs-bench-")
    before = set_parameter("Y")
    subjects, loops = [], Loops(args.loop)
    beds = {"ram"} if args.calls else {CELLS[cell].bed for cell in cells}
    try:
        subjects = start(work, beds, args)
        rows = run(cells, subjects, loops, args)
    finally:
        loops.detach()
        for subject in subjects:
            subject.stop()
        set_parameter(before)
        shutil.rmtree(work, ignore_errors=True)
    save(rows, args)
    if not rows:
        print("nobody was measured")
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
