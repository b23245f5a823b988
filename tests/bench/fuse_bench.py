#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A file in a FUSE mount: bttfs, the floor, and the peers on this machine.

usage: fuse_bench.py [--quick] [--json FILE] [--plot FILE.svg] [--rounds N]
                     [--slice SECONDS] [--size MIB] [--filter WORDS]
                     [--subjects NAME,...] [--loop] [--calls] BUILD

BUILD holds tests/memory_server and daemon/bttfs.  Every round measures each
cell with each subject, one after the other, in reverse order every other time.
A line shows the median of each, and in brackets bttfs's rate by the other's:
the median of the rounds' ratios.  Believe that, not the rates.

memory is the floor of all: a server of our own that copies and does nothing
else; memory-ring and bttfs-ring use the kernel's io_uring transport, for which
its parameter fuse.enable_uring is set meanwhile.  --loop puts a loop device on
each.  --calls counts system calls of a request instead.  Needs root, fio.
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

import fuse_servers
from fuse_servers import Missing, PARAMETER, Subject, needs

# name: sector size, fio's options
CELLS = {
    "4K random read, 1 job": (4096, "randread 4k psync 1 1"),
    "4K random read, 2 jobs": (4096, "randread 4k psync 1 2"),
    "4K random read, 4 jobs": (4096, "randread 4k psync 1 4"),
    "4K random read, depth 16": (4096, "randread 4k libaio 16 1"),
    "4K random read, depth 16, 4 jobs": (4096, "randread 4k libaio 16 4"),
    "4K random write, 1 job": (4096, "randwrite 4k psync 1 1"),
    "4K random write, 4 jobs": (4096, "randwrite 4k psync 1 4"),
    "4K random write, depth 16": (4096, "randwrite 4k libaio 16 1"),
    "4K random write, depth 16, 4 jobs": (4096, "randwrite 4k libaio 16 4"),
    "4K random write, each synced": (4096, "randwrite 4k psync 1 1 --fdatasync=1"),
    "512 random read, 1 job": (512, "randread 512 psync 1 1"),
    "512 random write, 1 job": (512, "randwrite 512 psync 1 1"),
    "512 random write, 4 jobs": (512, "randwrite 512 psync 1 4"),
    "128K read, 1 job": (4096, "read 128k psync 1 1"),
    "128K write, 1 job": (4096, "write 128k psync 1 1"),
    "1M read, 1 job": (4096, "read 1m psync 1 1"),
    "1M write, 1 job": (4096, "write 1m psync 1 1"),
    "1M read, depth 16": (4096, "read 1m libaio 16 1"),
    "1M write, depth 16": (4096, "write 1m libaio 16 1"),
    "4K random read, 1 job, cached": (4096, "randread 4k psync 1 1 --direct=0"),
    "4K random write, 1 job, cached": (4096, "randwrite 4k psync 1 1 --direct=0"),
    "1M read, 1 job, cached": (4096, "read 1m psync 1 1 --direct=0"),
}
QUICK = ("4K random read, 1 job", "4K random write, 4 jobs",
         "512 random write, 1 job", "1M read, 1 job")


class Slice:
    """What fio found: requests a second, their latency, our processor time."""

    def __init__(self, report, cpu_seconds):
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


def fio(path, size, work, seconds):
    words = work.split()
    pattern, block, engine, depth, njob = words[:5]
    argv = ["fio", "--name=x", f"--filename={path}", "--allow_file_create=0",
            f"--rw={pattern}", f"--bs={block}", f"--ioengine={engine}",
            f"--iodepth={depth}", f"--numjobs={njob}", f"--size={size}",
            "--direct=1", "--time_based", f"--runtime={round(seconds * 1000)}ms",
            "--group_reporting", "--randrepeat=0", "--norandommap",
            "--output-format=json", *words[5:]]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr}{done.stdout}")
    # Notes may precede the document.
    return json.loads(done.stdout[done.stdout.index("{"):])


def measure(subject, path, work, seconds):
    before = subject.cpu_seconds()
    report = fio(path, subject.size, work, seconds)
    return Slice(report, subject.cpu_seconds() - before)


class Loops:
    """Loop devices on the subjects' files, or nothing."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.devices = {}

    def path(self, subject, sector):
        path = subject.path(sector)
        if not self.wanted:
            return path
        if path not in self.devices:
            self.devices[path] = subprocess.run(
                ["losetup", "--find", "--show", "--direct-io=on",
                 f"--sector-size={sector}", path],
                check=True, capture_output=True, text=True).stdout.strip()
        return self.devices[path]

    def detach(self):
        for device in self.devices.values():
            subprocess.run(["losetup", "-d", device])


def human(rate, nbyte, work):
    if work.split()[1] in ("128k", "1m"):
        return f"{nbyte / 1e6:.0f} MB/s"
    return f"{rate / 1000:.1f} k/s"


def ours_for(name):
    return "bttfs-ring" if name.endswith("-ring") else "bttfs"


def run_cell(cell, subjects, loops, args):
    """Slices by subject, one a round."""
    sector, work = CELLS[cell]
    slices = {subject.name: [] for subject in subjects}
    for number in range(args.rounds):
        order = subjects if number % 2 == 0 else subjects[::-1]
        for subject in order:
            slices[subject.name].append(measure(
                subject, loops.path(subject, sector), work, args.slice))
    return slices


def row_of(cell, slices):
    row = {"cell": cell, "subjects": {}}
    for name, found in slices.items():
        middle = {what: statistics.median(getattr(s, what) for s in found)
                  for what in ("rate", "bytes", "p50_us", "p99_us", "cpu_us")}
        ours = slices.get(ours_for(name))
        if ours is not None and name != ours_for(name):
            middle["ratio"] = statistics.median(
                our.rate / other.rate for our, other in zip(ours, found))
        row["subjects"][name] = middle
    return row


def show(row):
    work = CELLS[row["cell"]][1]
    print(f"{row['cell']}:")
    for name, middle in row["subjects"].items():
        ratio = f"[{middle['ratio']:.2f}]" if "ratio" in middle else ""
        print(f"  {name:12} {human(middle['rate'], middle['bytes'], work):>12}"
              f" {ratio:7} p50 {middle['p50_us']:.1f} p99 "
              f"{middle['p99_us']:.1f} us, server {middle['cpu_us']:.1f} us")
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
    for cell in ("4K random read, 1 job", "4K random read, depth 16",
                 "4K random write, 1 job", "1M read, 1 job"):
        sector, work = CELLS[cell]
        print(f"{cell}, system calls of a request:", end="")
        for subject in subjects:
            n = count_calls(subject, loops.path(subject, sector), work)
            print(f"  {subject.name} {n:.2f}", end="")
        print(flush=True)


def plot(rows, path):
    """Bars of each cell's rates by the floor's."""
    if shutil.which("gnuplot") is None:
        print("no plot: gnuplot is not there", file=sys.stderr)
        return
    names = []
    for row in rows:
        names += [n for n in row["subjects"] if n not in names]
    floor = names[0]
    with tempfile.NamedTemporaryFile("w", suffix=".dat") as data:
        for row in rows:
            base = row["subjects"][floor]["rate"]
            values = [str(row["subjects"].get(n, {"rate": 0})["rate"] / base)
                      for n in names]
            data.write(f'"{row["cell"]}"\t' + "\t".join(values) + "\n")
        data.flush()
        columns = ", ".join(
            f"'{data.name}' using {i + 2}{':xtic(1)' if i == 0 else ''} "
            f"title '{name}'" for i, name in enumerate(names))
        script = f"""
            set terminal svg size 1200,520 font 'sans,11'
            set output '{path}'
            set datafile separator '\\t'
            set style data histograms
            set style fill solid 0.85 noborder
            set boxwidth 0.9
            set ylabel "requests a second, by those of '{floor}'"
            set grid ytics lc rgb '#dddddd'
            set xtics rotate by -35 nomirror
            set key outside top center horizontal
            set rmargin 14
            plot {columns}
        """
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
    with open(path) as file:
        lines = [line.rstrip() + "\n" for line in file]
    with open(path, "w") as file:
        file.writelines(lines)


def start(work, args):
    subjects = []
    for kind in fuse_servers.ALL:
        wanted = args.subjects.split(",") if args.subjects else \
            [k.name for k in fuse_servers.ALL if k.is_usual]
        if kind.name not in wanted:
            continue
        subject = kind(work, args.size << 20)
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
    for flag in ("--quick", "--loop", "--calls", "--help"):
        parser.add_argument(flag, action="store_true")
    for option in ("--json", "--plot", "--filter", "--subjects"):
        parser.add_argument(option)
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


def run(subjects, loops, args):
    rows = []
    if args.calls:
        show_calls(subjects, loops)
        return rows
    for cell in CELLS:
        if args.quick and cell not in QUICK or \
                args.filter and not all(w in cell.replace(",", "").split()
                                        for w in args.filter.split()):
            continue
        rows.append(row_of(cell, run_cell(cell, subjects, loops, args)))
        show(rows[-1])
    return rows


def main():
    args = parse()
    Subject.build = args.build
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
    try:
        subjects = start(work, args)
        rows = run(subjects, loops, args)
    finally:
        loops.detach()
        for subject in subjects:
            subject.stop()
        set_parameter(before)
        shutil.rmtree(work, ignore_errors=True)
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"rows": rows}, file, indent=1)
            file.write("\n")
    if args.plot:
        plot(rows, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
