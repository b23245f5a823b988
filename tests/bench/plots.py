#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Bars of what the benchmark found, by the floor's: the pictures in README.

usage: plots.py DIRECTORY

Draws bench-engine.svg and bench-fuse.svg there from engine.json and fuse.json,
of those that are there; fails if there is nothing to draw.
"""
import json
import os
import sys
from xml.sax.saxutils import escape

LABEL, BARS, BAR, GAP = 270, 560, 9, 10  # pixels
TOP = 56
MOST = 3.0  # what is faster has its number, not its length

COLOURS = {"bttfs": "#1b6ca8", "bttfs-ring": "#6db3e8", "floor": "#444444",
           "memory": "#444444", "file": "#444444", "memory-ring": "#999999",
           "order": "#888888", "copy": "#666666",
           "libpmemblk": "#d9822b", "qsd": "#d9822b", "qsd-native": "#f0bd84",
           "nbdfuse": "#9b59b6"}


def svg(title, groups):
    """groups: (label, [(name, value by the floor's)]), as bars."""
    names = []
    for _, bars in groups:
        names += [name for name, _ in bars if name not in names]
    height = TOP + sum(len(bars) * BAR + GAP for _, bars in groups) + 10
    width = LABEL + BARS + 60
    scale = BARS / MOST
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
           f'height="{height}" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif" font-size="11">',
           "<!-- SPDX-License-Identifier: BSD-3-Clause -->",
           f"<title>{escape(title)}</title>",
           f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
           f'<text x="10" y="18" font-size="13">{escape(title)}</text>']
    x = 10
    for name in names:
        out.append(f'<rect x="{x}" y="28" width="10" height="10" '
                   f'fill="{COLOURS.get(name, "#bbbbbb")}"/>')
        out.append(f'<text x="{x + 14}" y="37">{escape(name)}</text>')
        x += 30 + 7 * len(name)
    for tick in range(int(MOST) + 1):
        at = LABEL + tick * scale
        colour = "#555555" if tick == 1 else "#dddddd"
        out.append(f'<line x1="{at:.0f}" x2="{at:.0f}" y1="{TOP - 4}" '
                   f'y2="{height - 8}" stroke="{colour}"/>')
        out.append(f'<text x="{at:.0f}" y="{TOP - 7}" fill="#555555" '
                   f'text-anchor="middle">{tick}</text>')
    y = TOP
    for label, bars in groups:
        middle = y + len(bars) * BAR / 2 + 4
        out.append(f'<text x="{LABEL - 8}" y="{middle:.1f}" '
                   f'text-anchor="end">{escape(label)}</text>')
        for name, value in bars:
            wide = min(value, MOST) * scale
            out.append(f'<rect x="{LABEL}" y="{y}" width="{wide:.1f}" '
                       f'height="{BAR - 1}" '
                       f'fill="{COLOURS.get(name, "#bbbbbb")}"/>')
            out.append(f'<text x="{LABEL + wide + 4:.1f}" '
                       f'y="{y + BAR - 2}" font-size="8">{value:.2f}</text>')
            y += BAR
        y += GAP
    return "\n".join(out + ["</svg>"]) + "\n"


def draw(path, title, groups):
    if not groups:
        sys.exit(f"{path}: none of its cells was measured")
    with open(path, "w") as file:
        file.write(svg(title, groups))


def plot_fuse(rows, path):
    groups = []
    for row in rows:
        rates = {name: middle["rate"]
                 for name, middle in row["subjects"].items()}
        base = rates.get("memory") or rates.get("file")
        if base:
            groups.append((row["cell"], [
                (name.removesuffix("-file"), rate / base)
                for name, rate in rates.items()]))
    draw(path, "Requests a second of a file in the mount, by those of a "
         "server that does nothing else", groups)


# Bed, load and threads that a picture has room for.
ENGINE = [
    ("ram line, 4K sectors", "4K random write", (1, 4)),
    ("ram line, 4K sectors", "4K random read", (1, 4)),
    ("ram line, 4K sectors", "128K random write", (1, 4)),
    ("ram line, 4K sectors", "128K random read", (1,)),
    ("ram line, 512 sectors", "512 random write", (1, 4)),
    ("ram line, 512 sectors", "512 random read", (1, 4)),
    ("ram line, 512 sectors", "16K sequential write", (1, 4)),
    ("disk, durable each", "4K random write", (1, 4, 32)),
    ("disk as filled, durable each", "4K random write", (4, 32)),
    ("disk, durable at flush", "4K random write, flush every 256", (1, 4)),
]


def plot_engine(rows, path):
    floors = ("floor", "copy", "plain file")
    found = {}
    for row in rows:
        if "wall_ns" in row:
            cell = found.setdefault(
                (row["bed"], row["load"], row["threads"]), {})
            cell[row["subject"]] = row["wall_ns"]
    groups = []
    for bed, load, threads in ENGINE:
        for nthread in threads:
            times = found.get((bed, load, nthread), {})
            floor = next((f for f in floors if f in times), None)
            if floor is None:
                continue
            where = f"{bed.split(',')[0]}, " if bed.startswith("disk") else ""
            groups.append((
                f"{where}{load}, {nthread}T",
                [("floor" if name == floor else name, times[floor] / ns)
                 for name, ns in times.items() if name not in floors or
                 name == floor]))
    draw(path, "Requests a second of the engine, by those of the least that "
         "could be right (disk: a plain file)", groups)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__, end="")
        return 0 if sys.argv[1:] == ["--help"] else 2
    found = False
    for name, plot in (("engine", plot_engine), ("fuse", plot_fuse)):
        source = os.path.join(sys.argv[1], name + ".json")
        if os.path.exists(source):
            found = True
            with open(source) as file:
                rows = json.load(file)["rows"]
            plot(rows, os.path.join(sys.argv[1], f"bench-{name}.svg"))
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
