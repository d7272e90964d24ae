import SystemPackage
import TestSupport
import Testing

@Suite("Damage to a recovery point", .enabled(if: Tier.live.isWanted, Tier.live.comment)) struct DamageTests {
    /// One way to damage a file: shell lines that get its name as `$f`.
    private static let ways = [
        ("a bit at the start is flipped", "flip 0"), ("a bit in the middle is flipped", "flip $((size / 2))"),
        ("a bit at the end is flipped", "flip $((size - 2))"), ("its last byte is missing", "truncate -s -1 $f"),
        ("its second half is missing", "truncate -s $((size / 2)) $f"), ("it is empty", ": > $f"),
        ("a byte too much", "printf x >> $f"), ("it is missing", "rm $f"),
        ("zeros in the middle", "dd if=/dev/zero of=$f bs=1 count=16 seek=$((size / 2)) conv=notrunc status=none"),
        ("it is a directory", "rm $f; mkdir $f"), ("it is a link to itself", "rm $f; ln -s $f $f"),
        ("it is a pipe", "rm $f; mkfifo $f"),
    ]

    private static let flip = """
        flip() { printf "\\\\x$(printf %x $(( $(od -An -tu1 -j "$1" -N 1 $f) ^ 4 )))" \
            | dd of=$f bs=1 seek="$1" conv=notrunc status=none; }
        """

    @Test("is found by verify, which names the file; the other recovery points stay good")
    func found() throws {
        let node = try PracticeNode(profile: "kubeadm", objects: 50)
        let store = try node.store("damage")
        try node.backupDone("create", store, "--skip", "kubelet")
        try Shell.output("touch '\(node.root)/etc/site' '\(node.root)/usr/local/bin'")
        try node.backupDone("create", store, "--skip", "kubelet")
        try Shell.output("cp -a '\(store)/points/2' '\(node.directory / "saved")'")
        var count = 0
        func damage(_ file: String, _ what: String, _ line: String, named: String? = nil) throws {
            try Shell.output(
                """
                set -e
                rm -rf '\(store)/points/2'; cp -a '\(node.directory / "saved")' '\(store)/points/2'
                cd '\(store)/points/2'
                f=\(file); size=$(stat -c %s $f)
                \(Self.flip)
                \(line)
                """
            )
            count += 1
            let result = try node.tool.run(
                "node-backup",
                ["verify", "2", "--root", node.root.string, "--dir", store.string],
                limit: .seconds(30)
            )
            #expect(result.status == 65, "\(file): \(what): \(result)")
            #expect(result.output.hasPrefix("Recovery point 2: DAMAGED\n"), "\(file): \(what): \(result)")
            #expect(result.output.contains("'\(store)/points/2/\(named ?? file)'"), "\(file): \(what): \(result)")
            #expect(
                result.errors
                    == "node-backup: recovery point 2 is damaged\n"
                    + "hint: take a new one with 'node-backup create --root \(node.root) --dir \(store)'\n"
            )
        }
        for file in ["etcd.snapshot.zst", "etc.tar.zst", "etc.files.zst", "deployment.json"] {
            for (what, line) in Self.ways { try damage(file, what, line) }
        }
        for (what, line) in Self.ways
        where what != "its last byte is missing" && what != "a bit in the middle is flipped" {
            try damage("manifest.json", what, line)
        }
        try damage("manifest.json", "it is another one's", "cp ../1/manifest.json .")
        try damage("etc.tar.zst", "it is another component's", "cp usr-local.tar.zst etc.tar.zst")
        try damage(
            "etc.files.zst",
            "it is another component's",
            "cp usr-local.files.zst etc.files.zst",
            named: "etc.tar.zst"
        )
        try damage(
            "etc.tar.zst",
            "both are another component's",
            "cp usr-local.tar.zst $f; cp usr-local.files.zst etc.files.zst",
            named: "etc.files.zst"
        )
        try damage("etc.tar.zst", "it is the earlier one's", "cp --remove-destination ../1/etc.tar.zst .")
        try damage("etc.tar.zst", "it was packed anew", "zstd -qdc $f | zstd -q > x; mv x $f")
        try damage(
            "etcd.snapshot.zst",
            "a snapshot with a bad page",
            "zstd -qdc $f > x; printf '\\377' | dd of=x bs=1 seek=9000 conv=notrunc status=none; zstd -qf x -o $f; rm x"
        )
        #expect(count >= 60)

        // What verify said is in the list, and the first one is as good as it was.
        let good = try node.backup("verify", store, "1")
        #expect(good.status == 0, "\(good)")
        let all = try JSON(parsing: try node.backup("verify", store, "--all", "--json").output)
        #expect(all.items.map { $0["is_good"].bool } == [true, false])
        let list = try JSON(parsing: try node.backupDone("list", store, "--json"))
        #expect(list[0]["verified_at"].text != nil)
        #expect(list[1]["verified_at"].text == nil)
        // A damaged one is neither shared with nor counted, and never the reason that a good one goes.
        try Shell.output("rm '\(store)/points/2/manifest.json'")
        try node.backupDone("create", store, "--skip", "kubelet", "--keep", "1")
        #expect(try Shell.output("ls '\(store)/points'") == "2\n3\n")
        try node.backupDone("verify", store, "3")
    }

    @Test("is found by extract and diff as well") func otherCommands() throws {
        let node = try SmallNode()
        let point = node.store.appending("points/1")
        try Shell.output("truncate -s -3 '\(point)/etc.tar.zst'; truncate -s -3 '\(point)/usr-local.files.zst'")
        let extract = try node.tool.run(
            "node-backup",
            node.words("extract", ["1", "etc", "--to", "\(node.directory / "x")"])
        )
        #expect(extract.status == 65, "\(extract)")
        #expect(extract.errors.contains("'\(point)/etc.tar.zst'"), "\(extract)")
        let diff = try node.backup("diff", "--component", "usr-local")
        #expect(diff.status == 65, "\(diff)")
        #expect(diff.errors.contains("'\(point)/usr-local.files.zst'"), "\(diff)")
        // The other components are still there to be had.
        let other = try node.tool.run(
            "node-backup",
            node.words("extract", ["1", "kubelet", "--to", "\(node.directory / "y")"])
        )
        #expect(other.status == 0, "\(other)")
    }
}
