"""scripts/bench restore: a tree made equal to its archive, beside rsync and tar, in turn, on the same trees."""

import argparse
import shlex

from bench import MIB, PROJECT, TREES, Bench, Measurement, command_line, goals, ratio, table

COMPONENTS = ["etc", "usr-local", "kubelet"]
CASES = {
    "same": "Nothing differs, and nothing was touched since the backup",
    "copy": "Nothing differs, in a copy: every byte is read",
    "changed": "1 % of the files differ",
    "empty": "Empty target",
}
OURS, RSYNC, TAR = "ours", "`rsync -aAXc --delete`", "`tar --zstd -x`"


class Restore:
    """The commands that are compared. `node` is what the archives were made of, `pristine` a copy that stays."""

    def __init__(self, bench):
        self.bench = bench
        self.store, self.pristine, self.target = (bench.scratch / name for name in ("store", "pristine", "target"))
        self.tar = bench.scratch / "trees.tar.zst"

    def prepare(self):
        quoted = {name: shlex.quote(str(path)) for name, path in (
            ("node", self.bench.node), ("pristine", self.pristine), ("target", self.target), ("tar", self.tar),
            ("store", self.store), ("program", self.bench.program))}
        self.store.mkdir(mode=0o700)
        # What is younger than a second has no hint in the index.
        self.bench.run(f"""sleep 2
            {quoted['program']} node-backup create --quiet --root {quoted['node']} --dir {quoted['store']} \\
                --profile kubeadm --allow-rootfs --no-verify {' '.join(f'--component {name}' for name in COMPONENTS)}
            cp -a {quoted['node']} {quoted['pristine']}
            cp -a {quoted['node']} {quoted['target']}
            tar -C {quoted['node']} --zstd --xattrs --acls --numeric-owner -cf {quoted['tar']} {' '.join(TREES)}""")

    def ours(self, root):
        """The one place that knows how a restore is called."""
        return (f"{shlex.quote(str(self.bench.program))} node-backup restore --quiet --root {shlex.quote(str(root))} "
                f"--dir {shlex.quote(str(self.store))} 1 {' '.join(COMPONENTS)}")

    def rsync(self, root):
        return "\n".join(f"rsync -aAXc --delete {shlex.quote(f'{self.pristine}/{tree}/')} {shlex.quote(f'{root}/{tree}/')}"
                         for tree in TREES)

    def untar(self, root):
        return (f"tar -C {shlex.quote(str(root))} --zstd --warning=no-timestamp --xattrs --acls --numeric-owner "
                f"-xpf {shlex.quote(str(self.tar))}")


def one_round(bench, restore, number, results):
    def take(case, name, script, root):
        bench.settle(writes_much=case == "empty", reads=[restore.store, restore.pristine, restore.tar, root])
        measured = bench.measure(script, sync=root)
        results.setdefault(case, {}).setdefault(name, []).append(measured)
        bench.note(f"{case}, {name}: {measured.wall:.2f} s")

    tools = [(OURS, restore.ours), (RSYNC, restore.rsync)]
    turn = number % 2
    # 'changed' comes last: it leaves new inodes on the node.
    for case, root in (("same", bench.node), ("copy", restore.target)):
        if case == "same" and number > 0:
            continue
        for name, script in tools[turn:] + tools[:turn]:
            take(case, name, script(root), root)
    for name, script in [(OURS, restore.ours), (TAR, restore.untar)][::1 if turn else -1]:
        # Stays until the end: for minutes ext4 gives new files a wide berth around the inodes of removed ones.
        empty = bench.scratch / f"empty-{number}-{'ours' if name == OURS else 'tar'}"
        empty.mkdir()
        take("empty", name, script(empty), empty)
    for name, script in tools:
        bench.change_trees(seed=number)
        take("changed", name, script(bench.node), bench.node)


def report(results, facts, runs):
    lines = [f"`{command_line()}`; rounds: {runs}, the best counts; ratios are ours / theirs.", "", *facts]
    best = {case: {name: Measurement.best(all) for name, all in by_name.items()} for case, by_name in results.items()}
    for case, title in CASES.items():
        ours = best[case][OURS]
        lines += ["", f"**{title}**", ""]
        lines += table(["", "wall s", "slowest", "CPU s", "RSS MiB", "ratio: wall", "CPU"], [
            [name, f"{one.wall:.2f}", f"{max(m.wall for m in results[case][name]):.2f}", f"{one.cpu:.2f}",
             f"{one.rss / MIB:.0f}"] + (["", ""] if name == OURS else [ratio(ours.wall, one.wall),
                                                                      ratio(ours.cpu, one.cpu)])
            for name, one in sorted(best[case].items(), key=lambda item: item[0] != OURS)])
    lines += ["", "**Goals** (wall time)", ""]
    lines += goals([
        ("nothing differs / rsync", best["same"][OURS].wall / best["same"][RSYNC].wall, 0.5, ".2f"),
        ("empty target / tar", best["empty"][OURS].wall / best["empty"][TAR].wall, 1.0, ".2f"),
    ])
    return lines


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench restore", description=__doc__)
    parser.add_argument("--scale", type=float, default=1, help="this share of the files")
    parser.add_argument("--runs", type=int, default=3, help="rounds; the best of them counts")
    parser.add_argument("--program", default=PROJECT / ".build/node-recovery")
    parser.add_argument("--write", action="store_true", help="put the report into docs/benchmarks.md")
    options = parser.parse_args()

    with Bench(options.program) as bench:
        made = bench.make_trees("--scale", str(options.scale))
        restore = Restore(bench)
        restore.prepare()
        results = {}
        for number in range(options.runs):
            one_round(bench, restore, number, results)
        facts = bench.facts(["rsync --version", "tar --version", "zstd --version"])
        size = sum(row["bytes"] for row in made.values())
        facts.append(f"- {sum(row['files'] for row in made.values())} files with {size / 1e6:.0f} MB")
        bench.publish("restore", report(results, facts, options.runs), options.write)


if __name__ == "__main__":
    main()
