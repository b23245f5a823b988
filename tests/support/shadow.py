#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Random requests to a file, and to a copy of it in memory.

usage: shadow.py [-n REQUESTS] [-s SEED] [-t SECTOR] FILE

Reads, writes, vectors, durable writes, zeroing and holes, of 1 byte to 1 MiB,
at any byte or at the borders of sectors, near the start, the end and in
between; every read must give what the copy has, and in the end all must be
equal.  What lies past the end is asked for as well.
"""
import argparse
import ctypes
import errno
import os
import random
import sys

KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
MIB = 1 << 20
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int,
                           ctypes.c_int64, ctypes.c_int64]


def fallocate(fd, mode, offset, length):
    if libc.fallocate(fd, mode, offset, length) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Shadow:
    def __init__(self, path, sector, seed):
        self.random = random.Random(seed)
        self.sector = sector
        # Two openers, who must see one file.
        self.fds = [os.open(path, os.O_RDWR) for _ in range(2)]
        self.size = os.fstat(self.fds[0]).st_size
        self.copy = bytearray(self.read_all())
        self.counts = {}

    def read_all(self):
        pieces = []
        for offset in range(0, self.size, MIB):
            pieces.append(os.pread(self.fds[0], MIB, offset))
        return b"".join(pieces)

    def choose(self):
        """An offset and a length, both in the device."""
        pick = self.random
        length = pick.choice([
            1, pick.randint(1, 16), pick.randint(1, 3 * self.sector),
            self.sector, 4096, pick.randint(1, 256 * 1024), MIB])
        length = min(length, self.size)
        last = self.size - length
        offset = pick.choice([
            pick.randint(0, last), pick.randint(0, last),
            pick.randint(0, min(last, 8 * self.sector)),
            last - pick.randint(0, min(last, 8 * self.sector))])
        if pick.random() < 0.3:
            offset -= offset % self.sector
        return offset, length

    def expect(self, what, offset, got, want):
        if got == want:
            return
        where = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b),
                     min(len(got), len(want)))
        sys.exit(f"{what}: {len(got)} bytes of {len(want)} at {offset}, "
                 f"wrong from byte {offset + where}")

    def read(self, fd, offset, length):
        got = os.pread(fd, length, offset)
        self.expect("read", offset, got, self.copy[offset:offset + length])

    def readv(self, fd, offset, length):
        middle = self.random.randint(0, length)
        buffers = [bytearray(middle), bytearray(length - middle)]
        count = os.preadv(fd, buffers, offset)
        self.expect("readv", offset, b"".join(buffers)[:count],
                    self.copy[offset:offset + length])

    def write(self, fd, offset, length, flags=0):
        data = self.random.randbytes(length)
        middle = self.random.randint(0, length)
        count = os.pwritev(fd, [data[:middle], data[middle:]], offset, flags)
        if count != length:
            sys.exit(f"write of {length} at {offset}: {count}")
        self.copy[offset:offset + length] = data

    def write_durable(self, fd, offset, length):
        self.write(fd, offset, length, os.RWF_DSYNC)

    def write_and_sync(self, fd, offset, length):
        self.write(fd, offset, length)
        os.fdatasync(fd)

    def punch(self, fd, offset, length):
        fallocate(fd, PUNCH_HOLE | KEEP_SIZE, offset, length)
        self.copy[offset:offset + length] = bytes(length)

    def zero(self, fd, offset, length):
        fallocate(fd, ZERO_RANGE | self.random.choice([0, KEEP_SIZE]),
                  offset, length)
        self.copy[offset:offset + length] = bytes(length)

    def hole_and_data(self, fd, offset, _length):
        """Holes may be unknown, but what is one must be all zero."""
        hole = os.lseek(fd, offset, os.SEEK_HOLE)
        if not offset <= hole <= self.size:
            sys.exit(f"SEEK_HOLE from {offset}: {hole}")
        try:
            data = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            data = self.size
        if not offset <= data <= self.size:
            sys.exit(f"SEEK_DATA from {offset}: {data}")
        if any(self.copy[offset:data]):
            sys.exit(f"SEEK_DATA from {offset}: {data}, with data before")
        if hole > offset and data > offset:
            sys.exit(f"{offset} is both hole and data")

    def past_end(self, fd, offset, length):
        """A disk does not grow."""
        start = self.size - self.random.choice([0, 1, self.sector, length])
        data = self.random.randbytes(length)
        fits = self.size - start
        if fits >= length:
            return
        got = os.pread(fd, length, start)
        self.expect("read over the end", start, got, self.copy[start:])
        try:
            count = os.pwrite(fd, data, start)
            if count != fits or fits == 0:
                sys.exit(f"write over the end at {start}: {count}")
            self.copy[start:] = data[:count]
        except OSError as error:
            if error.errno != errno.ENOSPC or fits > 0:
                raise

    def run(self, requests):
        kinds = [self.read] * 6 + [self.write] * 6 + [
            self.readv, self.write_durable, self.write_and_sync, self.punch,
            self.zero, self.hole_and_data, self.past_end]
        for _ in range(requests):
            kind = self.random.choice(kinds)
            kind(self.random.choice(self.fds), *self.choose())
            name = kind.__name__
            self.counts[name] = self.counts.get(name, 0) + 1
        self.expect("everything", 0, self.read_all(), self.copy)
        if os.fstat(self.fds[1]).st_size != self.size:
            sys.exit("the size has changed")
        for fd in self.fds:
            os.close(fd)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=3000)
    parser.add_argument("-s", type=int, default=1)
    parser.add_argument("-t", type=int, default=4096)
    parser.add_argument("file")
    given = parser.parse_args()
    shadow = Shadow(given.file, given.t, given.s)
    shadow.run(given.n)
    print(", ".join(f"{count} {name}" for name, count
                    in sorted(shadow.counts.items())), f"(seed {given.s})")


main()
