#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Whether every lock is under the validator in every test (the seventh fix to
libnvdimm, control-plane.md A.7, LK-12).

usage: check_coverage.py SOURCES TESTS

TESTS is what `ctest --show-only=json-v1` prints.  Claims:

 - the program's own code takes no lock but through lanes/sync.h;
 - nothing there turns the validator off, or looks away from what it says;
 - no sanitizer is told to suppress anything;
 - each class of locks is met in an order that somebody has looked at, or is
   listed here as one that is only taken alone;
 - each test that runs the program's code has a violation end it, and has the
   orders noted that it saw.

Exit status: 0 all hold, 1 one does not.
"""
import json
import os
import re
import sys

LAYERS = ["lanes", "btt", "daemon"]
# Taken with nothing held, and nothing is taken under them.
ALONE = {"caretaker", "check-bitmap", "device-attr", "kernel-idle",
         "lock-watch", "reserve"}
# The validator's own, for locks that are gone.
OWN = {"destroyed lock"}
# Labels of tests that run no code of ours with locks in it, or that misuse
# locks on purpose, as locks.cmake has them.
MISUSE = {"sync", "held", "graph", "idle", "watch", "points", "shapes",
          "lane", "lane_owner", "lane_misuse", "stripe", "lock_watch"}
KINDS = re.compile("unit|stress|hostile|e2e|kernel")

wrong = []


def sources(top):
    for layer in LAYERS:
        for directory, _, names in os.walk(os.path.join(top, layer)):
            for name in names:
                if name.endswith((".c", ".h")):
                    path = os.path.join(directory, name)
                    with open(path, encoding="utf-8") as file:
                        yield os.path.relpath(path, top), file.read()


def check_sources(top):
    classes = set()
    for path, text in sources(top):
        bare = re.search(r"\bpthread_(mutex|cond|rwlock|spin)_\w+ *\(", text)
        if bare and not path.startswith("lanes/"):
            wrong.append(f"{path}: {bare[0]}...) is not lanes/sync.h's")
        if "sync_catch_violations(" in text and not path.startswith("lanes/"):
            wrong.append(f"{path}: catches violations")
        for match in re.finditer(r"struct lock_class \w+ = \{(.*?)\};", text,
                                 re.S):
            classes.add(re.search(r'"([^"]+)"', match[1])[1])
    return classes - OWN


def check_orders(top, classes):
    with open(os.path.join(top, "tests/locks/orders.dot"),
              encoding="utf-8") as file:
        met = set(re.findall(r'"([^"]+)"', file.read()))
    for name in sorted(classes - met - ALONE):
        wrong.append(f"class {name!r}: no order of it is known")
    for name in sorted(met - classes):
        wrong.append(f"orders.dot: there is no class {name!r}")
    for name in sorted(ALONE & met):
        wrong.append(f"class {name!r} is not taken alone")


def check_suppressions(top):
    for directory, names, files in os.walk(top):
        names[:] = [name for name in names if name not in ("build", ".git")]
        for name in files:
            path = os.path.join(directory, name)
            if "suppression" in name:
                wrong.append(f"{os.path.relpath(path, top)}: suppressions")
            # Programs of the shell may have no ending at all.
            if "." in name and not name.endswith(
                    (".sh", ".cmake", ".json", ".txt", ".c", ".h")):
                continue
            with open(path, encoding="utf-8", errors="replace") as file:
                if re.search(r"suppressions=|__(tsan|lsan|asan)_default_"
                             r"suppressions", file.read()):
                    wrong.append(f"{os.path.relpath(path, top)}: tells a "
                                 "sanitizer to suppress something")


def settings(test):
    found = {}
    for prop in test.get("properties", []):
        if prop["name"] in ("ENVIRONMENT", "ENVIRONMENT_MODIFICATION"):
            for word in prop["value"]:
                key, _, value = word.partition("=")
                found[key] = value.partition(":")[2] or value
    return found


def labels(test):
    for prop in test.get("properties", []):
        if prop["name"] == "LABELS":
            return " ".join(prop["value"])
    return ""


def check_tests(tests):
    n = 0
    for test in tests["tests"]:
        name = test["name"]
        if name in MISUSE or name.startswith(("lock-orders", "lockdep_")) or \
                not KINDS.search(labels(test)):
            continue
        n += 1
        found = settings(test)
        if found.get("BTTFS_LOCK_ABORT") != "1":
            wrong.append(f"test {name}: a violation does not end it")
        if not found.get("BTTFS_LOCK_ORDERS"):
            wrong.append(f"test {name}: the orders it sees are not noted")
    return n


top = sys.argv[1]
with open(sys.argv[2], encoding="utf-8") as file:
    ntest = check_tests(json.load(file))
known = check_sources(top)
check_orders(top, known)
check_suppressions(top)
if ntest < 50 or len(known) < 15:
    wrong.append(f"only {ntest} tests and {len(known)} classes were found")
for text in wrong:
    print(text)
print(f"{len(known)} classes of locks, {ntest} tests under the validator")
sys.exit(1 if wrong else 0)
