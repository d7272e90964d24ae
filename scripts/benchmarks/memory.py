"""scripts/bench memory: how much memory node-backup takes at most, with many small files and a large etcd."""

import argparse
import shlex

from bench import MIB, PROJECT, Bench, command_line, goals, table

DATABASE_BYTES = 1_000_000_000
GOAL_MIB, AIM_MIB = 100, 64


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench memory", description=__doc__)
    parser.add_argument("--scale", type=float, default=1, help="this share of the files and of the database")
    parser.add_argument("--program", default=PROJECT / ".build/node-recovery")
    parser.add_argument("--write", action="store_true", help="put the report into docs/benchmarks.md")
    options = parser.parse_args()

    with Bench(options.program) as bench:
        made = bench.make_trees("--small", "--scale", str(options.scale))
        etcd = bench.start_etcd(DATABASE_BYTES * options.scale)
        store = bench.scratch / "store"
        store.mkdir(mode=0o700)
        program = f"{shlex.quote(str(bench.program))} node-backup"
        common = f"--quiet --root {shlex.quote(str(bench.node))} --dir {shlex.quote(str(store))}"
        create = (f"{program} create {common} --profile kubeadm --allow-rootfs {bench.our_etcd_options('etcd-')} "
                  f"--component etcd --component etc --component usr-local --component kubelet")
        measured = [(f"`node-backup {name}", bench.measure(script, sync=store)) for name, script in (
            ("create`", create),
            ("create`, nothing changed", create),
            ("verify`", f"{program} verify {common}"),
            ("diff`", f"{program} diff {common}"),
        )]
        facts = bench.facts([f"{program} --version", "etcd --version"])
        size = sum(row["bytes"] for row in made.values())
        facts.append(f"- {sum(row['files'] for row in made.values())} files with {size / 1e6:.0f} MB; "
                     f"an etcd with {etcd['keys']} keys and {etcd['bytes'] / 1e6:.0f} MB of values")
        largest = max(one.rss for _, one in measured) / MIB
        lines = [f"`{command_line()}`", "", *facts, ""]
        lines += table(["", "peak RSS MiB", "wall s", "CPU s"],
                       [[name, f"{one.rss / MIB:.0f}", f"{one.wall:.2f}", f"{one.cpu:.2f}"] for name, one in measured])
        lines += ["", "**Goals**", ""]
        lines += goals([
            ("peak RSS, MiB", largest, GOAL_MIB, ".0f"),
            ("peak RSS, MiB (the aim)", largest, AIM_MIB, ".0f"),
        ])
        bench.publish("memory", lines, options.write)


if __name__ == "__main__":
    main()
