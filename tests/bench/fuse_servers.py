# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmark's FUSE half measures: each serves one file of RAM, and in
fuse_disks.py of a disk.

A subject is started, has a path per sector size, knows its processes, and is
stopped.  start() raises Missing where what it needs is not there.
"""
import os
import shutil
import signal
import subprocess
import time


PARAMETER = "/sys/module/fuse/parameters/enable_uring"


class Missing(Exception):
    pass


def needs(program):
    path = shutil.which(program)
    if path is None:
        raise Missing(f"no {program}")
    return path


def wait_for(test, seconds, what):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise Missing(f"{what} did not come up in {seconds} s")
        time.sleep(0.02)


def descendants(pids):
    """They and their children, as long as they live."""
    parents = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry))
    found, todo = [], list(pids)
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += parents.get(pid, [])
    return found


class Subject:
    name = ""
    bed = "ram"
    ours = "bttfs"   # of the same kind: what this is compared with
    is_usual = True  # else only when asked for

    def __init__(self, work, size):
        self.size = size
        self.directory = os.path.join(work, self.name)
        self.processes = []
        self.mounts = []
        self.files = []

    def spawn(self, argv, **more):
        log = open(os.path.join(self.directory, "log"), "ab")
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, **more)
        log.close()
        self.processes.append(process)
        return process

    def said(self):
        with open(os.path.join(self.directory, "log")) as file:
            return file.read().strip()

    def unique(self):
        run = os.path.basename(os.path.dirname(self.directory))
        return f"{run}-{self.name}"

    def ram_file(self, name, size):
        path = f"/dev/shm/{self.unique()}-{name}"
        self.files.append(path)
        with open(path, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        return path

    def mountpoint(self, name):
        path = os.path.join(self.directory, name)
        os.makedirs(path)
        self.mounts.append(path)
        return path

    def path(self, sector):
        raise NotImplementedError

    def scatter(self, sector):
        """Sectors that follow each other shall not lie so, where a server has
        a say in that."""

    def start(self):
        os.makedirs(self.directory)
        self.begin()

    def begin(self):
        raise NotImplementedError

    def pids(self):
        return descendants(p.pid for p in self.processes
                           if p.poll() is None)

    def cpu_seconds(self):
        ticks = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def dirtied_bytes(self):
        """Of pages that it made dirty, for a disk to write."""
        total = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/io") as file:
                    fields = dict(line.split(": ") for line in file)
            except OSError:
                continue
            total += int(fields["write_bytes"])
        return total

    def stop(self):
        for path in reversed(self.mounts):
            for _ in range(50):
                done = subprocess.run(["umount", path],
                                      stderr=subprocess.DEVNULL)
                if done.returncode == 0 or not os.path.ismount(path):
                    break
                time.sleep(0.1)
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for path in self.files:
            if os.path.exists(path):
                os.unlink(path)


class Memory(Subject):
    """The floor."""
    name = "memory"
    options = []

    def begin(self):
        mountpoint = self.mountpoint("mnt")
        server = os.path.join(Subject.build, "tests/memory_server")
        process = self.spawn([server, *self.options, str(self.size), mountpoint])
        self.file = os.path.join(mountpoint, "disk")
        try:
            wait_for(lambda: process.poll() is not None or
                     os.path.exists(self.file), 20, self.name)
        finally:
            if process.poll() == 77:
                raise Missing("the kernel offers no io_uring transport")

    def path(self, sector):
        return self.file


class MemoryRing(Memory):
    name = "memory-ring"
    ours = "bttfs-ring"
    options = ["-r"]


class Bttfs(Subject):
    """A device for each sector size, on RAM that is said to be pmem."""
    name = "bttfs"
    options = []

    def __init__(self, work, size):
        super().__init__(work, size)
        self.paths = {}
        self.scattered = set()

    def begin(self):
        for sector in (4096, 512):
            backing = self.ram_file(str(sector), self.backing_bytes())
            self.serve(sector, backing, ["--nfree", "256"],
                       ["granularity=cacheline", *self.options])
            self.fill(self.paths[sector])

    def backing_bytes(self):
        return self.size + (self.size >> 4) + (32 << 20)

    def serve(self, sector, backing, create, options):
        programs = os.path.join(Subject.build, "daemon")
        subprocess.run([programs + "/bttctl", "create", "--force", "--quiet",
                        "--sector", str(sector), *create, backing], check=True)
        mountpoint = self.mountpoint(str(sector))
        server = self.spawn([programs + "/bttfs", "-f", "-o",
                             ",".join(["name=disk", *options]), backing,
                             mountpoint])
        path = os.path.join(mountpoint, "disk")
        wait_for(lambda: server.poll() is not None or os.path.exists(path),
                 20, self.name)
        if server.poll() is not None:
            raise RuntimeError(f"bttfs ended: {self.said()}")
        self.paths[sector] = path

    def fill(self, path):
        """Sectors that were never written are answered without a read."""
        with open("/dev/urandom", "rb") as source, open(path, "r+b") as file:
            block = source.read(1 << 20)
            for _ in range(self.size >> 20):
                file.write(block)

    def scatter(self, sector):
        """Each sector is written once, none after the one before it."""
        if sector in self.scattered:
            return
        self.scattered.add(sector)
        subprocess.run(["fio", "--name=scatter", "--rw=randwrite",
                        f"--filename={self.paths[sector]}", f"--bs={sector}",
                        f"--size={self.size}", "--allow_file_create=0",
                        "--direct=1", "--ioengine=libaio", "--iodepth=16"],
                       check=True, stdout=subprocess.DEVNULL)

    def path(self, sector):
        return self.paths[sector]


class BttfsRing(Bttfs):
    name = "bttfs-ring"
    ours = "bttfs-ring"
    options = ["transport=io_uring"]

    def begin(self):
        if not os.path.exists(PARAMETER):
            raise Missing("the kernel offers no io_uring transport")
        super().begin()


class BttfsStreaming(BttfsRing):
    name = "bttfs-streaming"
    options = ["transport=io_uring", "streaming"]
    is_usual = False


class StorageDaemon(Subject):
    name = "qsd"
    options = ""

    def backing(self):
        return self.ram_file("raw", self.size)

    def begin(self):
        program = needs("qemu-storage-daemon")
        backing = self.backing()
        self.file = os.path.join(self.directory, "disk")
        open(self.file, "w").close()
        self.mounts.append(self.file)
        self.spawn([program, "--blockdev",
                    f"driver=file,node-name=f,filename={backing}{self.options}",
                    "--export", "type=fuse,id=e,node-name=f,"
                    f"mountpoint={self.file},writable=on"])
        wait_for(lambda: os.path.getsize(self.file) == self.size, 20,
                 self.name)

    def path(self, sector):
        return self.file


class StorageDaemonNative(StorageDaemon):
    name = "qsd-native"
    options = ",cache.direct=on,aio=native"


class Nbd(Subject):
    name = "nbdfuse"

    def plugin(self):
        return ["memory", str(self.size)]

    def begin(self):
        needs("nbdkit")
        program = needs("nbdfuse")
        mountpoint = self.mountpoint("mnt")
        self.spawn([program, os.path.join(mountpoint, "disk"), "[", "nbdkit",
                    *self.plugin(), "]"])
        self.file = os.path.join(mountpoint, "disk")
        wait_for(lambda: os.path.exists(self.file), 20, self.name)

    def path(self, sector):
        return self.file


ALL = [Memory, Bttfs, MemoryRing, BttfsRing, BttfsStreaming, StorageDaemon,
       StorageDaemonNative, Nbd]
