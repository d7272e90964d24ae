"""scripts/bench backup: ours beside cp, tar with zstd, restic and borg, in turn, on the same node."""

import argparse
import shlex

from bench import MIB, PROJECT, TREES, Bench, Measurement, command_line, goals, ratio, table

DATABASE_BYTES = 500_000_000
SAVE = "etcdctl snapshot save"


class Tool:
    """One way to back up. Scripts run in bash, in the scratch directory; `store` is where they write."""

    def __init__(self, bench):
        self.bench = bench
        self.store = bench.scratch / f"store-{type(self).__name__.lower()}"
        self.node = shlex.quote(str(bench.node))
        self.place = shlex.quote(str(self.store))
        self.snapshot = f"{self.place}.db"

    def prepare(self):
        """Makes an empty store; not measured."""
        return "true"

    def backup(self, with_etcd):
        raise NotImplementedError

    # Whether a second backup makes use of the first; else it would be the first one again.
    knows_the_last = True
    verify = None


class Copy(Tool):
    name = "`cp -Ra`"
    knows_the_last = False

    def backup(self, with_etcd):
        lines = [f"cp -Ra {self.node}/{tree} {self.place}/" for tree in TREES]
        return "\n".join(lines + [f"{SAVE} {self.place}/snapshot.db"] * with_etcd)


class Tar(Tool):
    name = "`tar \\| zstd -3 -T0`"
    knows_the_last = False

    def backup(self, with_etcd):
        lines = [f"tar -C {self.node} -cf - {' '.join(TREES)} | zstd -q -3 -T0 -o {self.place}/trees.tar.zst"]
        if with_etcd:
            lines += [f"{SAVE} {self.place}/snapshot.db", f"zstd -q -3 -T0 --rm {self.place}/snapshot.db"]
        return "\n".join(lines)

    verify_name = "`zstd -t`, then `sha256sum`"

    def verify(self):
        return (f"zstd -q -t {self.place}/*.zst\n"
                f"cd {self.node}; find {' '.join(TREES)} -type f -print0 | xargs -0 sha256sum > /dev/null\n"
                f"sha256sum {shlex.quote(str(self.bench.scratch))}/snapshot.db")


class Restic(Tool):
    name = "restic"

    def __init__(self, bench):
        super().__init__(bench)
        password = bench.scratch / "restic.password"
        password.write_text("practice\n")
        bench.environment.update(RESTIC_REPOSITORY=str(self.store), RESTIC_PASSWORD_FILE=str(password),
                                 RESTIC_CACHE_DIR=str(bench.scratch / "cache"))

    def prepare(self):
        return "restic init"

    def backup(self, with_etcd):
        lines = [f"{SAVE} {self.snapshot}"] * with_etcd + [f"cd {self.node}"]
        lines.append(f"restic backup --quiet --host node {' '.join(TREES)}" + f" {self.snapshot}" * with_etcd)
        return "\n".join(lines)

    verify_name = "`restic check --read-data`"

    def verify(self):
        return "restic check --read-data"


class Borg(Tool):
    name = "borg"

    def __init__(self, bench):
        super().__init__(bench)
        self.count = 0
        bench.environment.update(BORG_REPO=str(self.store), BORG_BASE_DIR=str(bench.scratch / "cache"),
                                 BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes",
                                 BORG_RELOCATED_REPO_ACCESS_IS_OK="yes")

    def prepare(self):
        return "borg init --encryption none"

    def backup(self, with_etcd):
        self.count += 1
        lines = [f"{SAVE} {self.snapshot}"] * with_etcd + [f"cd {self.node}"]
        lines.append(f"borg create --compression zstd,3 ::{self.count} {' '.join(TREES)}"
                     + f" {self.snapshot}" * with_etcd)
        return "\n".join(lines)

    verify_name = "`borg check --verify-data`"

    def verify(self):
        return "borg check --verify-data"


class Ours(Tool):
    name = "`node-backup create --no-verify`"

    def __init__(self, bench):
        super().__init__(bench)
        self.program = f"{shlex.quote(str(bench.program))} node-backup"
        self.options = f"--quiet --root {self.node} --dir {self.place}"

    def backup(self, with_etcd):
        components = ("etc", "usr-local", "kubelet") + ("etcd",) * with_etcd
        etcd = self.bench.our_etcd_options("etcd-") if with_etcd else ""
        return (f"{self.program} create {self.options} --profile kubeadm --allow-rootfs --no-verify --keep 9 "
                f"{' '.join(f'--component {name}' for name in components)} {etcd}")

    verify_name = "`node-backup verify`"

    def verify(self):
        return f"{self.program} verify {self.options}"


SCOPES = {False: "trees alone", True: "trees and etcd"}
PHASES = {"first": "First backup", "again": "Second backup, nothing changed", "changed": "Third backup, 1 % changed"}


def one_round(bench, tools, with_etcd, number, results):
    def take(phase, tool, script, added=True):
        bench.settle(writes_much=phase == "first",
                     reads=[bench.node] + [bench.etcd] * with_etcd + [tool.store] * (phase == "verify"))
        before = bench.bytes_on_disk(tool.store) if added else 0
        measured = bench.measure(script, sync=tool.store)
        after = bench.bytes_on_disk(tool.store) if added else 0
        # What restic and borg were given as a file is not theirs to keep.
        bench.remove(bench.scratch / f"{tool.store.name}.db")
        results.setdefault((with_etcd, phase), {}).setdefault(type(tool), []).append(
            measured._replace(disk=after - before))
        bench.note(f"{SCOPES[with_etcd]}, {phase}, {type(tool).__name__}: {measured.wall:.2f} s")

    # Nobody is always the first one, nor the one who comes after the same other.
    turn = number % len(tools)
    tools = tools[turn:] + tools[:turn]
    if number % 2:
        tools.reverse()
    for tool in tools:
        tool.store.mkdir(mode=0o700)
        bench.run(tool.prepare())
    for phase in PHASES:
        if phase == "changed":
            bench.change_trees(seed=2 * number + with_etcd)
        for tool in tools:
            if phase == "first" or tool.knows_the_last:
                take(phase, tool, tool.backup(with_etcd))
    if with_etcd:
        bench.run(f"{SAVE} snapshot.db")
        for tool in tools:
            if tool.verify:
                take("verify", tool, tool.verify(), added=False)
    bench.remove(*(tool.store for tool in tools), bench.scratch / "cache")


def report(tools, results, facts, runs):
    for (with_etcd, phase), by_tool in results.items():
        if phase in PHASES:
            for tool in tools:
                by_tool.setdefault(tool, results[with_etcd, "first"][tool])
    best = {key: {tool: Measurement.best(all) for tool, all in by_tool.items()} for key, by_tool in results.items()}

    def row(name, tool, by_tool, all, has_disk):
        one, ours = by_tool[tool], by_tool[Ours]
        cells = [name, f"{one.wall:.2f}", f"{max(m.wall for m in all[tool]):.2f}", f"{one.cpu:.2f}",
                 f"{one.rss / MIB:.0f}"]
        ratios = [ratio(ours.wall, one.wall), ratio(ours.cpu, one.cpu)]
        if has_disk:
            cells.append(f"{one.disk / 1e6:.1f}")
            ratios.append(ratio(ours.disk, one.disk))
        return cells + ([""] * len(ratios) if tool is Ours else ratios)

    head = ["", "wall s", "slowest", "CPU s", "RSS MiB"]
    lines = [f"`{command_line()}`; rounds: {runs}, the best counts; ratios are ours / theirs.", "", *facts]
    for phase, title in PHASES.items():
        for with_etcd, scope in reversed(SCOPES.items()):
            by_tool, all = best[with_etcd, phase], results[with_etcd, phase]
            lines += ["", f"**{title}, {scope}**", ""]
            lines += table(head + ["added MB", "ratio: wall", "CPU", "bytes"],
                           [row(tool.name, tool, by_tool, all, True) for tool in tools])
    by_tool, all = best[True, "verify"], results[True, "verify"]
    lines += ["", "**Reading everything back, trees and etcd**", ""]
    lines += table(head + ["ratio: wall", "CPU"], [row(tool.verify_name, tool, by_tool, all, False)
                                                    for tool in tools if tool.verify])
    first, again, alone = best[True, "first"], best[True, "again"], best[False, "again"]
    lines += ["", "**Goals** (trees and etcd, wall time unless said otherwise)", ""]
    lines += goals([
        ("first backup / `tar \\| zstd -3 -T0`", first[Ours].wall / first[Tar].wall, 1.0, ".2f"),
        ("first backup / restic", first[Ours].wall / first[Restic].wall, 0.5, ".2f"),
        ("first backup / `cp -Ra` (the aim beyond)", first[Ours].wall / first[Copy].wall, 1.0, ".2f"),
        ("bytes on disk / `cp -Ra`", first[Ours].disk / first[Copy].disk, 0.35, ".3f"),
        ("second backup, nothing changed / restic", again[Ours].wall / again[Restic].wall, 0.25, ".2f"),
        ("the same, trees alone / restic", alone[Ours].wall / alone[Restic].wall, 0.25, ".2f"),
        ("`verify` / `zstd -t` + `sha256sum`", by_tool[Ours].wall / by_tool[Tar].wall, 0.5, ".2f"),
    ])
    return lines


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench backup", description=__doc__)
    parser.add_argument("--scale", type=float, default=1, help="this share of the files and of the database")
    parser.add_argument("--runs", type=int, default=3, help="rounds; the best of them counts")
    parser.add_argument("--program", default=PROJECT / ".build/node-recovery")
    parser.add_argument("--write", action="store_true", help="put the report into docs/benchmarks.md")
    options = parser.parse_args()

    with Bench(options.program) as bench:
        made = bench.make_trees("--scale", str(options.scale))
        etcd = bench.start_etcd(DATABASE_BYTES * options.scale)
        kinds = [Copy, Tar, Restic, Borg, Ours]
        tools = [kind(bench) for kind in kinds]
        results = {}
        bench.run(f"{SAVE} snapshot.db")
        snapshot = (bench.scratch / "snapshot.db").stat().st_size
        for number in range(options.runs):
            for with_etcd in SCOPES:
                one_round(bench, tools, with_etcd, number, results)
        facts = bench.facts(["restic version", "borg --version", "tar --version", "zstd --version", "etcd --version",
                             f"{tools[-1].program} --version"])
        files = sum(row["files"] for row in made.values())
        size = sum(row["bytes"] for row in made.values())
        parts = [f"{name} {row['files']} with {row['bytes'] / 1e6:.0f} MB" for name, row in made.items()]
        facts.append(f"- {files} files with {size / 1e6:.0f} MB ({', '.join(parts)}); "
                     f"an etcd of {snapshot / 1e6:.0f} MB with {etcd['keys']} keys")
        bench.publish("backup", report(kinds, results, facts, options.runs), options.write)


if __name__ == "__main__":
    main()
