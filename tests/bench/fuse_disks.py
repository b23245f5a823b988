# SPDX-License-Identifier: BSD-3-Clause
"""Subjects whose file is on a disk, where an fsync costs something.

All on the same kind of file: written once, so that no write allocates, and
forgotten by the page cache: large writes leave large folios there, which small
ones then find.  "file" is a plain file behind our own server, the
floor: its sectors may be torn by a power cut.
"""
import os

from fuse_servers import Bttfs, Memory, Nbd, StorageDaemon, Subject


def disk_bytes():
    """That the disk below has written, whoever wanted it."""
    device = os.stat(Subject.disk).st_dev
    try:
        with open(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"
                  "/stat") as file:
            return int(file.read().split()[6]) * 512
    except OSError:
        return 0


class OnDisk(Subject):
    bed = "disk"
    ours = "bttfs-file"

    def disk_file(self, size):
        path = os.path.join(Subject.disk, f"{self.unique()}.img")
        self.files.append(path)
        block = bytes(1 << 20)
        with open(path, "wb") as file:
            for _ in range(-(-size >> 20)):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return path


class PlainFile(OnDisk, Memory):
    """The floor."""
    name = "file"

    def begin(self):
        self.options = ["-f", self.disk_file(self.size)]
        super().begin()


class BttfsFile(OnDisk, Bttfs):
    name = "bttfs-file"

    def begin(self):
        backing = self.disk_file(self.backing_bytes())
        self.serve(4096, backing, [], ["durability=flush"])


class StorageDaemonFile(OnDisk, StorageDaemon):
    name = "qsd-file"

    def backing(self):
        return self.disk_file(self.size)


class NbdFile(OnDisk, Nbd):
    name = "nbdfuse-file"

    def plugin(self):
        return ["file", self.disk_file(self.size)]


ALL = [PlainFile, BttfsFile, StorageDaemonFile, NbdFile]
