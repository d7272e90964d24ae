"""What the benchmarks share: a scratch directory, measured commands, an etcd, tables, and the place in the document."""

import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
TREES = ("etc", "usr/local", "var/lib/kubelet")
MIB = 1 << 20


class Measurement(NamedTuple):
    wall: float
    cpu: float  # user and system, of every process of the command
    rss: int  # the largest process of the command, in bytes
    disk: int = 0  # what the command added on disk, in bytes

    @staticmethod
    def best(all):
        """The fastest of several, with the largest memory and disk of them."""
        fastest = min(all, key=lambda one: one.wall)
        return fastest._replace(cpu=min(one.cpu for one in all), rss=max(one.rss for one in all),
                                disk=max(one.disk for one in all))


class Bench:
    """A scratch directory in which commands are run and measured. What was started is ended on every way out."""

    def __init__(self, program):
        self.program = Path(program).resolve()
        if not os.access(self.program, os.X_OK):
            sys.exit(f"bench: '{program}' is not there: build it with scripts/build")
        self.load = os.getloadavg()[0]
        self.scratch = Path(tempfile.mkdtemp(prefix="node-recovery-bench."))
        self.node = self.scratch / "node"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.scratch), "TMPDIR": str(self.scratch),
                            "LC_ALL": "C.UTF-8", "ETCDCTL_API": "3"}
        self.url = None

    def __enter__(self):
        def stop(number, _):
            raise SystemExit(128 + number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop)
        return self

    def __exit__(self, *_):
        # Being stopped once more would leave an etcd behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self.stop_etcd()
        shutil.rmtree(self.scratch)

    def note(self, text):
        print(f"bench: {text}", file=sys.stderr, flush=True)

    # Commands

    def measure(self, script, sync=None):
        """Runs a script in bash to its end; with `sync`, until that directory's file system has everything on disk."""
        if sync:
            script += f"\nsync -f {shlex.quote(str(sync))}"
        log = self.scratch / "command.log"
        with open(log, "wb") as output:
            begin = time.monotonic()
            process = subprocess.Popen(["bash", "-c", f"set -euo pipefail\n{script}"], cwd=self.scratch,
                                       env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                       start_new_session=True)
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except BaseException:
                self.kill_group(process)
                raise
            wall = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"bench: status {process.returncode} of\n{script}\n{log.read_text(errors='replace')[-2000:]}")
        return Measurement(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)

    @staticmethod
    def kill_group(process):
        """Ends a command with all its processes, which share a group, and waits until they are gone."""
        end = time.monotonic() + 5
        try:
            while time.monotonic() < end:
                os.killpg(process.pid, signal.SIGKILL)
                process.poll()
                time.sleep(0.05)
        except ProcessLookupError:
            pass

    def run(self, script):
        """Runs a script that is not measured and gives back its output."""
        self.measure(script)
        return (self.scratch / "command.log").read_text()

    def settle(self, writes_much=False, reads=()):
        """Waits until what earlier commands wrote or removed is on disk, and reads what the next one will read.

        A virtual machine may have given its free memory back to its host: whoever then writes first pays for all of
        it, ten seconds a gigabyte. Before a command that writes much, free memory is therefore touched. Where the
        kernel reclaims what nobody has touched for some seconds (DAMON), the page cache loses files meanwhile: whoever
        comes after a slow tool would have to read them from the disk.
        """
        self.run(f"sync -f {shlex.quote(str(self.scratch))}")
        if writes_much:
            self.run(f"{shlex.quote(sys.executable)} -c 'bytearray(3 << 30)'")
        if reads:
            self.run(f"find {shlex.join(map(str, reads))} -type f -print0 | xargs -0 -r cat > /dev/null")

    def bytes_on_disk(self, path):
        return int(self.run(f"du -s --block-size=1 {shlex.quote(str(path))}").split()[0])

    def remove(self, *paths):
        for path in paths:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    # Data

    def make_trees(self, *options):
        self.note("making the trees")
        return self.script("trees.py", "make", self.node, *options)

    def change_trees(self, seed):
        return self.script("trees.py", "change", self.node, "--seed", seed)

    def script(self, name, *arguments):
        """Runs another script of this directory: what it takes of memory must not count for what is measured later."""
        return json.loads(self.run(shlex.join([sys.executable, "-B", str(HERE / name), *map(str, arguments)])))

    def start_etcd(self, size, name="etcd"):
        """Starts an etcd with TLS whose database has about `size` bytes."""
        self.note(f"filling an etcd with {size / 1e6:.0f} MB")
        testbed, certificates = PROJECT / "scripts/testbed", self.scratch / "certificates"
        if not certificates.exists():
            self.run(shlex.join([str(testbed / "certificates"), str(certificates), "ecdsa"]))
        self.etcd = self.scratch / name
        self.url = self.run(shlex.join([
            str(testbed / "etcd-up"), str(self.etcd), "--tls", str(certificates), "server-ip",
            "--", "--quota-backend-bytes", str(8 << 30), "--max-txn-ops", "8192",
        ])).strip()
        self.environment.update(ETCDCTL_ENDPOINTS=self.url, ETCDCTL_CACERT=f"{certificates}/ca.crt",
                                ETCDCTL_CERT=f"{certificates}/client.crt", ETCDCTL_KEY=f"{certificates}/client.key")
        return self.script("objects.py", self.url, certificates, int(size))

    def stop_etcd(self):
        """Ends the etcd by its process number, if that is still its own."""
        file = getattr(self, "etcd", self.scratch) / "etcd.pid"
        if not file.exists():
            return
        pid = int(file.read_text())
        data = f"{self.etcd}/data".encode()

        def is_ours():
            try:
                return data in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                return False

        for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
            if is_ours():
                os.kill(pid, number)
            end = time.monotonic() + patience
            while is_ours() and time.monotonic() < end:
                time.sleep(0.05)
        file.unlink()

    def our_etcd_options(self, prefix):
        certificates = self.scratch / "certificates"
        return shlex.join([f"--{prefix}endpoint", self.url, f"--{prefix}cacert", f"{certificates}/ca.crt",
                           f"--{prefix}cert", f"{certificates}/client.crt", f"--{prefix}key",
                           f"{certificates}/client.key"])

    # Report

    def facts(self, tools):
        """What the figures depend on: the machine and the versions."""
        cpu = Path("/proc/cpuinfo").read_text()
        model = next((line.split(":")[1].strip() for line in cpu.splitlines() if line.startswith("model name")),
                     platform.machine())
        flags = next((line.split() for line in cpu.splitlines() if line.startswith("flags")), [])
        memory = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
        kind = self.run(f"findmnt -n -o FSTYPE -T {shlex.quote(str(self.scratch))}").strip()
        rows = [f"- {os.cpu_count()} cores ({model}; SHA instructions: {'yes' if 'sha_ni' in flags else 'no'}), "
                f"{memory / 2**30:.0f} GiB of memory, {kind}, Linux {platform.release()}; "
                f"load before the start: {self.load:.2f}"]
        versions = [self.run(command).splitlines()[0].strip("* ") for command in tools]
        return rows + [f"- {'; '.join(dict.fromkeys(versions))}"]

    def publish(self, name, lines, wanted):
        """Prints a report, and with `wanted` puts it between its markers in docs/benchmarks.md."""
        text = "\n".join(lines)
        print(text)
        if not wanted:
            return
        path = PROJECT / "docs/benchmarks.md"
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, found, rest = path.read_text().partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            sys.exit(f"bench: '{path}' has no '{begin}' with '{end}' behind it")
        path.write_text(f"{before}{begin}\n{text}\n{end}{after}")
        self.note(f"wrote {path}")


def table(head, rows):
    """A Markdown table; the first column is text, the others are figures."""
    return [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"] + [f"| {' | '.join(row)} |" for row in rows]


def ratio(ours, theirs):
    """Ours divided by theirs, as far as it says something."""
    return "" if theirs <= 0 else "> 100" if ours > 100 * theirs else f"{ours / theirs:.2f}"


def goals(rows):
    """What must be reached: rows of what, figure, bound, and how both are written."""
    return table(["goal", "bound", "reached"],
                 [[what, f"< {bound:{form}}", f"{figure:{form}}{'' if figure < bound else ' (**not reached**)'}"]
                  for what, figure, bound, form in rows])


def command_line():
    return shlex.join(["scripts/bench", Path(sys.argv[0]).stem, *sys.argv[1:]])
