"""scripts/bench etcd: etcd-snapshot beside etcdctl and etcdutl, in turn, on the same member and the same snapshot."""

import argparse
import shlex
import subprocess

from bench import MIB, PROJECT, Bench, Measurement, command_line, ratio, table

SIZES = (500_000_000, 2_000_000_000)


def commands(bench, etcdutl):
    """Rows of (what, name, script); of each kind ours is the first. `out` is new each time."""
    ours = f"{shlex.quote(str(bench.program))} etcd-snapshot"
    rows = [
        ("save", "`etcd-snapshot save` (every page checked)", f"{ours} save {bench.our_etcd_options('')} out"),
        ("save", "`etcdctl snapshot save`", "etcdctl snapshot save out"),
        ("status", "`etcd-snapshot status`", f"{ours} status snapshot.db"),
        ("status", "`etcdctl snapshot status`", "etcdctl snapshot status snapshot.db"),
        ("status", "`etcdutl snapshot status`", f"{etcdutl} snapshot status snapshot.db"),
        ("verify", "`etcd-snapshot verify`", f"{ours} verify snapshot.db"),
        ("verify", "`sha256sum` (no more than the digest)", "sha256sum snapshot.db"),
    ]
    if "\n  restore " in bench.run(f"{ours} --help"):
        rows += [
            ("restore", "`etcd-snapshot restore`", f"{ours} restore snapshot.db --data-dir out"),
            ("restore", "`etcdctl snapshot restore`", "etcdctl snapshot restore snapshot.db --data-dir out"),
            ("restore", "`etcdutl snapshot restore`", f"{etcdutl} snapshot restore snapshot.db --data-dir out"),
        ]
    return rows


def size_of(out):
    """Bytes of what a command made: the snapshot, or the database of a data directory; 0 for neither."""
    database = out / "member/snap/db"
    file = database if database.is_file() else out
    return file.stat().st_size if file.is_file() else 0


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench etcd", description=__doc__)
    parser.add_argument("--scale", type=float, default=1, help="this share of the database")
    parser.add_argument("--large", action="store_true", help="also with a database of 2 GB")
    parser.add_argument("--runs", type=int, default=3, help="rounds; the best of them counts")
    parser.add_argument("--program", default=PROJECT / ".build/node-recovery")
    parser.add_argument("--write", action="store_true", help="put the report into docs/benchmarks.md")
    options = parser.parse_args()
    # Kept in the caller's cache, not in the scratch directory.
    directory = subprocess.run([PROJECT / "scripts/testbed/etcd-pypi"], check=True, text=True, stdout=subprocess.PIPE)
    etcdutl = shlex.quote(f"{directory.stdout.strip()}/etcdutl")

    lines = []
    with Bench(options.program) as bench:
        for size in SIZES[:2 if options.large else 1]:
            keys = bench.start_etcd(size * options.scale, name=f"etcd-{size}")["keys"]
            bench.run("etcdctl snapshot save snapshot.db")
            snapshot, out = bench.scratch / "snapshot.db", bench.scratch / "out"
            rows = commands(bench, etcdutl)
            results, sizes = {}, {}
            for number in range(options.runs):
                for what, name, script in rows[::-1] if number % 2 else rows:
                    bench.settle(reads=[bench.etcd, snapshot])
                    results.setdefault((what, name), []).append(bench.measure(script, sync=bench.scratch))
                    bench.note(f"{name}: {results[what, name][-1].wall:.2f} s")
                    sizes[what, name] = size_of(out)
                    bench.remove(out)
            best = {key: Measurement.best(all) for key, all in results.items()}
            ours = {what: next(best[key] for key in best if key[0] == what) for what, _ in best}
            lines += ["", f"**A snapshot of {snapshot.stat().st_size / 1e6:.0f} MB with {keys} keys**", ""]
            lines += table(["", "wall s", "slowest", "CPU s", "RSS MiB", "file MB", "ratio: wall", "CPU", "RSS"], [
                [name, f"{one.wall:.2f}", f"{max(m.wall for m in results[what, name]):.2f}", f"{one.cpu:.2f}",
                 f"{one.rss / MIB:.0f}", f"{sizes[what, name] / 1e6:.1f}" if sizes[what, name] else ""]
                + ([""] * 3 if one is ours[what] else [ratio(ours[what].wall, one.wall), ratio(ours[what].cpu, one.cpu),
                                                       ratio(ours[what].rss, one.rss)])
                for (what, name), one in best.items()])
            bench.stop_etcd()
            bench.remove(bench.etcd, snapshot)
        facts = bench.facts(["etcdctl version", f"{etcdutl} version",
                             f"{shlex.quote(str(bench.program))} etcd-snapshot --version"])
        head = [f"`{command_line()}`; rounds: {options.runs}, the best counts; ratios are ours / theirs.", "", *facts]
        bench.publish("etcd", head + lines, options.write)


if __name__ == "__main__":
    main()
