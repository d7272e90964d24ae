#!/usr/bin/env python3
"""Makes the trees that a benchmark backs up, and changes some files of them. The same on every run with the same seed.

Usage: trees.py make ROOT [--scale S] [--small]      the rows of TREES, or of SMALL; prints what came about as JSON
       trees.py change ROOT --seed N                 changes 1 % of the files in place; prints how many as JSON
"""

import argparse
import json
import os
import random
import stat
from typing import NamedTuple

from text import Text


class Row(NamedTuple):
    tree: str
    kind: str
    files: int  # 0: as many as it takes to reach the bytes
    bytes: int


# At scale 1: about 2 GB in 50 000 files. Sizes within a row are spread log-normally.
TREES = [
    Row("etc", "configuration", 10_000, 100_000_000),
    Row("usr/local", "program", 21_000, 500_000_000),
    Row("usr/local", "binary", 0, 1_000_000_000),
    Row("var/lib/kubelet", "api_object", 10_000, 300_000_000),
    Row("var/lib/kubelet", "noise", 7_000, 30_000_000),
]
# At scale 1: 200 000 small files.
SMALL = [
    Row("etc", "configuration", 60_000, 60_000_000),
    Row("usr/local", "program", 70_000, 70_000_000),
    Row("var/lib/kubelet", "api_object", 50_000, 50_000_000),
    Row("var/lib/kubelet", "noise", 20_000, 5_000_000),
]
SEED = 20261121
FILES_A_DIRECTORY = 24


def machine_binaries():
    """Executables and libraries of this machine between 4 kB and 32 MB, each once, in a random but fixed order."""
    found, seen = [], set()
    for top in ("/usr/bin", "/usr/lib"):
        for directory, _, names in os.walk(top):
            for name in names:
                path = os.path.join(directory, name)
                status = os.lstat(path)
                identity = (status.st_dev, status.st_ino)
                if not stat.S_ISREG(status.st_mode) or not 4096 <= status.st_size <= 32 << 20 or identity in seen:
                    continue
                with open(path, "rb") as file:
                    if file.read(4) != b"\x7fELF":
                        continue
                seen.add(identity)
                found.append(path)
    found.sort()
    random.Random(SEED).shuffle(found)
    return found


def contents(row, text, scale):
    """The contents of the files of a row, one after the other."""
    if row.kind == "binary":
        left = row.bytes * scale
        for path in machine_binaries():
            with open(path, "rb") as file:
                data = file.read()
            if len(data) > left:
                continue  # A smaller one may still fit.
            left -= len(data)
            yield data
        return
    count = round(row.files * scale)
    shape = random.Random(f"{SEED} {row}")
    spread = [shape.lognormvariate(0, 1) for _ in range(count)]
    factor = row.bytes * scale / sum(spread)
    for share in spread:
        size = max(24, int(share * factor))
        yield shape.randbytes(size) if row.kind == "noise" else text.make(row.kind, size)


def make(root, rows, scale):
    text, shape = Text(SEED), random.Random(SEED)
    made = {}
    for row in rows:
        files = length = 0
        top = os.path.join(root, row.tree, f"{row.kind}.d")
        for number, data in enumerate(contents(row, text, scale)):
            group = number // FILES_A_DIRECTORY
            directory = os.path.join(top, f"{group // 40:02}", f"{group:04}")
            if number % FILES_A_DIRECTORY == 0:
                os.makedirs(directory)
            path = os.path.join(directory, f"{text.words()}-{number:06}")
            mode = shape.choice((0o600, 0o644)) if row.kind != "binary" else 0o755
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            os.write(descriptor, data)
            os.close(descriptor)
            os.utime(path, ns=(0, 1_700_000_000_000_000_000 + shape.randrange(10 ** 17)))
            files += 1
            length += len(data)
        made[f"{row.tree}: {row.kind}"] = {"files": files, "bytes": length}
    return made


def change(root, seed):
    """Overwrites 16 bytes in the middle of every hundredth file, in random order; times change as they do."""
    paths = sorted(os.path.join(directory, name)
                   for tree in {row.tree for row in TREES}
                   for directory, _, names in os.walk(os.path.join(root, tree)) for name in names)
    shape = random.Random(seed)
    chosen = shape.sample(paths, max(1, len(paths) // 100))
    length = 0
    for path in chosen:
        with open(path, "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size // 2 - 8))
            file.write(f"{shape.getrandbits(64):016x}".encode())
            length += size
    return {"files": len(chosen), "bytes": length}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("make", "change"))
    parser.add_argument("root")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    if options.action == "make":
        print(json.dumps(make(options.root, SMALL if options.small else TREES, options.scale)))
    else:
        print(json.dumps(change(options.root, options.seed)))


if __name__ == "__main__":
    main()
