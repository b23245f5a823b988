#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""T-D5: what a monitor was told is what is.

usage: monitor_model.py SOCKET DIRECTORY NCHANGE SEED

DIRECTORY has the images vol0, vol1, ...  They are attached and detached at
random, NCHANGE times.  Meanwhile monitors connect at random moments; each makes
a model of the devices from its snapshot and the events after it, whose numbers
have no gap.  At the end each model is what list says, and the events that the
first one had are what was done.

One monitor reads nothing all the time: in the end it is told how many events it
has missed, and these and those it has are all there were.
"""
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import control

SOCKET, DIRECTORY = sys.argv[1:3]
NCHANGE, SEED = int(sys.argv[3]), int(sys.argv[4])
NAMES = sorted(name for name in os.listdir(DIRECTORY)
               if name.startswith("vol"))
STATES = {
    "namespace-attaching": "probing",
    "namespace-read-only": "readonly",
    "namespace-failed": "failed",
    "namespace-detaching": "draining",
    "namespace-detached": None,
}
NMONITOR = 12
# Attaches that fail, of several events each: more than the daemon's ring holds.
NGHOST = 2500


class Monitor(threading.Thread):
    """Connects now, and follows until there is an event of a last number."""

    def __init__(self):
        super().__init__()
        self.link = control.Control(SOCKET, timeout=60)
        self.link.ask("monitor")
        self.model = {}       # name: (state, generation)
        self.counts = {}      # kinds of events
        self.nlost = 0
        self.nevent = 0
        self.last = None      # of what was done, when it is known
        self.next = None
        self.wrong = None

    def snapshot(self):
        message = self.link.hear()
        control.check(message["snapshot"], "devices")
        self.first = self.next = message["seq"]
        for device in message["snapshot"]:
            self.model[device["dev"]] = (device["state"],
                                         device["generation"])

    def take(self, event):
        if "count" in event:
            self.nlost += event["count"]
            self.next = event["seq"] + 1
            return
        if event["seq"] != self.next:
            raise ValueError(f"event {event['seq']}, not {self.next}")
        self.next += 1
        self.nevent += 1
        name, = event["event"]
        self.counts[name] = self.counts.get(name, 0) + 1
        if not name.startswith("namespace-"):
            return
        device, detail = event["namespace"]["dev"], event["namespace"]
        state = STATES.get(name, detail["state"])
        known = self.model.get(device)
        # The snapshot may be ahead of the events: generations say so.  A new
        # device begins anew, and comes after the old one has gone.
        if name != "namespace-attaching" and known is not None and \
                detail["generation"] <= known[1]:
            return
        if state is None:
            self.model.pop(device, None)
        elif known is not None or name == "namespace-attaching":
            self.model[device] = (state, detail["generation"])

    def run(self):
        try:
            self.snapshot()
            while self.last is None or self.next <= self.last:
                self.take(self.link.hear()["event"])
        except Exception as error:
            self.wrong = repr(error)


def same_as_list(monitor, devices):
    found = {name: state for name, (state, _) in monitor.model.items()}
    wanted = {name: device["state"] for name, device in devices.items()}
    if found != wanted:
        sys.exit(f"a model from event {monitor.first} on is wrong: "
                 f"{set(found.items()) ^ set(wanted.items())}")


def last_event():
    link = control.Control(SOCKET, timeout=60)
    link.ask("monitor")
    seq = link.hear()["seq"]
    link.close()
    return seq - 1


def main():
    dice = random.Random(SEED)
    link = control.Control(SOCKET, timeout=60)
    sleeper = Monitor()
    time.sleep(0.05)
    monitors = [Monitor()]
    monitors[0].start()
    attached, done = set(), {"attach": 0, "detach": 0}
    starts = sorted(dice.randrange(NCHANGE) for _ in range(NMONITOR - 1))
    for i in range(NCHANGE):
        while starts and starts[0] <= i:
            starts.pop(0)
            monitors.append(Monitor())
            monitors[-1].start()
        name = dice.choice(NAMES)
        if name in attached:
            link.call("detach", name=name)
            attached.remove(name)
            done["detach"] += 1
        else:
            link.call("attach", path=f"{DIRECTORY}/{name}",
                      options=dice.choice(["sparse", "sparse,ro"]))
            attached.add(name)
            done["attach"] += 1
    link.call("settle")
    devices = link.list()
    last = last_event()
    for monitor in monitors:
        monitor.last = last
    # Whoever waits for an event though there is none to come is told one more.
    link.call("attach", path=f"{DIRECTORY}/extra", options="sparse")
    for monitor in monitors:
        monitor.join()
        if monitor.wrong is not None:
            sys.exit(monitor.wrong)
        if monitor.nlost > 0:
            sys.exit("events were lost on who reads")
        monitor.model.pop("extra", None)
        same_as_list(monitor, devices)
    counts = monitors[0].counts
    print(f"{done}, as events: {counts}")
    if counts["namespace-attached"] != done["attach"] or \
            counts["namespace-detached"] != done["detach"]:
        sys.exit("the events are not what was done")

    # It has slept through these, and sleeps until the ring has gone around.
    for _ in range(NGHOST):
        try:
            link.call("attach", path="/nowhere/ghost")
        except control.Refused:
            pass
    link.call("detach", name="ghost")
    sleeper.last = last_event()
    sleeper.run()
    if sleeper.wrong is not None:
        sys.exit(sleeper.wrong)
    print(f"the sleeper has {sleeper.nevent} events and lost {sleeper.nlost}")
    if sleeper.nlost == 0:
        sys.exit("nothing was lost: this proves nothing")
    if sleeper.nevent + sleeper.nlost != sleeper.next - sleeper.first:
        sys.exit("the count of lost events is wrong")


main()
