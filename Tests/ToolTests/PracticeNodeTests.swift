import Glibc
import SystemPackage
import TestSupport
import Testing

@Suite(
    "A recovery point of a practice node",
    .serialized,
    .enabled(if: Tier.live.isWanted, Tier.live.comment),
    PracticeNodes()
)
struct PracticeNodeTests {
    static let profiles = ["kubeadm", "openshift"]

    @Test("holds every component, and says so as text and as JSON", arguments: profiles)
    func contents(profile: String) throws {
        let node = try PracticeNodes.node(profile)
        let store = try node.store("contents")
        let made = try JSON(parsing: try node.backupDone("create", store, "--json"))
        #expect(made["generation"].integer == 1)
        #expect(made["path"].text == "\(store)/points/1")
        #expect(made["is_verified"].bool == true)
        let revision = try Shell.output(
            ". \(node.root)/.practice/env; etcdctl endpoint status -w json | jq '.[0].Status.header.revision'"
        )
        #expect("\(made["etcd_revision"].integer ?? 0)" == revision.trimmed)

        let listed = try JSON(parsing: try node.backupDone("list", store, "--json"))
        #expect(listed.items.count == 1)
        #expect(listed[0]["profile"].text == profile)
        #expect(listed[0]["node"].text == "practice")
        #expect(listed[0]["deployment"] == made["deployment"])
        #expect(listed[0]["verified_at"].text != nil)
        let table = try node.backupDone("list", store).split(separator: "\n")
        #expect(table.count == 3)
        #expect(table.last == "recovery point 1: partial, without images")
        #expect(table.first?.hasPrefix("POINT") == true)
        #expect(table.dropFirst().first?.contains(" \(profile) ") == true, "\(table)")

        let manifest = try JSON(parsing: try node.backupDone("show", store, "--json"))
        #expect(
            manifest["components"].items.map { $0["name"].text } == [
                "etcd", "static-pods", "etc", "usr-local", "kubelet", "machine-config", "deployment",
            ]
        )
        #expect(manifest["skipped"].named("images")["reason"].text == "no container runtime is running")
        #expect(
            manifest["components"].named("machine-config")["left_out"]
                == .list([.object(["path": .text("opt/missing/gone.conf"), "reason": .text("missing")])])
        )
        #expect(
            manifest["components"].named("kubelet")["left_out"].items.map { $0["path"].text } == [
                "var/lib/kubelet/device-plugins/kubelet.sock"
            ]
        )
        let shown = try node.backupDone("show", store, "1")
        #expect(shown.contains("  etcd        3.4."), "\(shown)")
        #expect(shown.contains("  /opt/missing/gone.conf: missing"), "\(shown)")

        let proof = try JSON(parsing: try node.backupDone("verify", store, "--all", "--json"))
        #expect(proof.items.map { $0["is_good"].bool } == [true])
        #expect(try node.backupDone("verify", store).hasPrefix("Recovery point 1: good (etcd, static-pods, etc,"))
        #expect(try Shell.output("readlink '\(store)/latest'; stat -c %a '\(store)'") == "points/1\n700\n")
        #expect(
            try Shell.output("find '\(store)/points' -type f ! -perm 0600; find '\(store)/points' -type d ! -perm 0700")
                == ""
        )
        #expect(try Shell.output("'\(store)/upgrade-recovery.sh' --version").hasPrefix("upgrade-recovery "))
        #expect(try Shell.output("cmp '\(store)/upgrade-recovery' '\(node.tool.program)'") == "")
    }

    @Test("tells in status.json how it went", arguments: profiles) func status(profile: String) throws {
        let node = try PracticeNodes.node(profile)
        let store = try node.store("status")
        try node.backupDone("create", store, "--skip", "etcd")
        let status = try JSON(parsing: try Shell.output("cat '\(store)/status.json'"))
        #expect(
            status.names == [
                "component", "component_count", "component_number", "done_bytes", "format_version", "generation", "pid",
                "started_at", "state", "total_bytes", "updated_at",
            ]
        )
        #expect(status["state"].text == "Succeeded")
        #expect(status["generation"].integer == 1)
        #expect(status["format_version"].integer == 1)
        #expect(status["component_number"] == status["component_count"])
        #expect(status["done_bytes"] == status["total_bytes"])
        let failed = try node.backup("create", store, "--etcd-endpoint", "http://127.0.0.1:1")
        #expect(failed.status == 69, "\(failed)")
        let after = try JSON(parsing: try Shell.output("cat '\(store)/status.json'"))
        #expect(after["state"].text == "UnrecoverableError")
        #expect(after["error"]["exit_status"].integer == 69)
        #expect(after["error"]["summary"].text?.contains("http://127.0.0.1:1") == true)
        #expect(after["error"]["hint"].text != nil)
    }

    @Test("can be planned without a change to the node or the store", arguments: profiles)
    func dryRun(profile: String) throws {
        let node = try PracticeNodes.node(profile)
        let store = try node.store("dry-run")
        func state() throws -> String {
            try Shell.output(
                """
                cd '\(node.root)'
                find etc usr var/lib/kubelet opt ostree boot '\(store)' -printf '%p %y %m %U:%G %s %T@ %C@\\n' | sort
                """
            )
        }
        let before = try state()
        let text = try node.backupDone("create", store, "--dry-run", "--exclude", "/etc/site/*.key")
        #expect(try state() == before)
        #expect(text.hasPrefix("Plan for node 'practice', profile \(profile) (by /etc/kubernetes/"), "\(text)")
        let plan = try JSON(parsing: try node.backupDone("create", store, "--dry-run", "--json", "--skip", "kubelet"))
        #expect(plan["profile"].text == profile)
        #expect(plan["directory"].text == store.string)
        #expect(plan["free_bytes"].integer ?? 0 > plan["needed_bytes"].integer ?? .max)
        let components = plan["components"]
        #expect(components.named("kubelet")["note"].text == "left out as asked")
        #expect(components.named("etcd")["sources"][0].text?.hasPrefix("https://127.0.0.1:") == true)
        #expect(components.named("etc")["exclusions"] == .list([.text("etc/.updated")]))
        #expect(components.named("etc")["source_files"].integer ?? 0 > 400)
        #expect(try state() == before)
    }

    @Test("is what diff compares the node with", arguments: profiles) func diff(profile: String) throws {
        let node = try PracticeNodes.node(profile)
        let store = try node.store("diff")
        try node.backupDone("create", store, "--skip", "etcd")
        #expect(try node.backupDone("diff", store) == "Nothing has changed.\n")
        try Shell.output(
            """
            set -e
            cd '\(node.root)'
            rm -rf ../saved && mkdir ../saved && cp -a etc usr ../saved
            echo '10.0.0.9 surprise' >> etc/hosts
            chmod 640 etc/fstab
            chown 5:6 etc/group
            setfattr -n user.comment -v else etc/passwd
            setfacl -m u:7:r etc/hostname
            echo new > etc/added.conf
            mkdir etc/added.d && echo new > etc/added.d/one
            rm etc/sudoers
            ln -sfn elsewhere etc/site/dangling
            rm usr/local/bin/site && mkdir usr/local/bin/site
            """
        )
        defer {
            _ = try? Shell.run(
                "cd '\(node.root)' && rsync -aAXHc --delete ../saved/etc ../saved/usr . && rm -rf ../saved"
            )
        }
        let lines = try node.backupDone("diff", store, "1", "--component", "etc").split(separator: "\n").map(
            String.init
        )
        #expect(
            lines.filter { !$0.hasPrefix("M /etc (") } == [
                "+ /etc/added.conf", "+ /etc/added.d", "+ /etc/added.d/one", "M /etc/fstab (mode)",
                "M /etc/group (owner)", "M /etc/hostname (attribute system.posix_acl_access)",
                "M /etc/hosts (size, time)",
                "M /etc/passwd (attribute user.comment)", "M /etc/site (time)",
                "M /etc/site/dangling (time, link target)",
                "- /etc/sudoers",
            ],
            "\(lines)"
        )
        let local = try node.backupDone("diff", store, "--component", "usr-local", "--json")
            .split(separator: "\n").map { try JSON(parsing: String($0)) }
        let replaced = try #require(local.first { $0["path"].text == "usr/local/bin/site" })
        #expect(replaced["change"].text == "changed")
        #expect(replaced["component"].text == "usr-local")
        #expect(replaced["aspects"] == .list([.text("type")]), "\(replaced)")
        let missing = try node.backup("diff", store, "--component", "etcd")
        #expect(missing.status == 66, "\(missing)")
    }

    @Test("brings every kind of file back equal", arguments: profiles) func extract(profile: String) throws {
        let node = try PracticeNodes.node(profile)
        let store = try node.store("extract")
        try node.backupDone("create", store, "--skip", "etcd")
        let target = node.directory / "extracted"
        defer { _ = try? Shell.run("rm -rf '\(target)'") }
        for component in ["etc", "usr-local", "kubelet"] {
            let said = try node.backupDone("extract", store, "1", component, "--to", target.string)
            #expect(said.contains(" files and ") && said.contains(" directories written to '\(target)'."), "\(said)")
        }
        let trees = "etc usr/local var/lib/kubelet"
        let except = "! -type s ! -path etc/.updated"
        let original = try PracticeNode.listing(of: node.root, trees, except: except)
        #expect(original.split(separator: "\n").count > 1000)
        for word in [
            " p 600 ", " c 620 ", " b ", "security.capability", "security.selinux", "trusted.site",
            "system.posix_acl_default",
        ] {
            #expect(original.contains(word), "the node has nothing of \(word)")
        }
        #expect(try PracticeNode.listing(of: target, trees, except: except) == original)
        let again = try Shell.output(
            """
            for tree in \(trees); do
                rsync -n -aAXHc --delete -i --exclude /.updated --exclude '*.sock' '\(node.root)'/$tree/ '\(target)'/$tree/
            done
            """
        )
        #expect(again == "")
        // Holes: what is there takes less than a tenth of its length.
        let image = "var/lib/kubelet/pods/*/volumes/kubernetes.io~empty-dir/cache/disk.img"
        #expect(Int64(try Shell.output("cd '\(target)'; du -k \(image) | cut -f1").trimmed) ?? .max < 6553)

        // One file, then one that is not there, then one that is there already.
        let one = node.directory / "one"
        defer { _ = try? Shell.run("rm -rf '\(one)'") }
        try node.backupDone("extract", store, "1", "etc", "etc/site", "--to", one.string)
        #expect(try Shell.output("cd '\(one)'; find . -maxdepth 2 | sort") == ".\n./etc\n./etc/site\n")
        let missing = try node.backup("extract", store, "1", "etc", "etc/nowhere", "--to", one.string)
        #expect(missing.status == 66, "\(missing)")
        #expect(missing.errors.contains("etc/nowhere"), "\(missing)")
        let twice = try node.backup("extract", store, "1", "etc", "etc/site/agent.key", "--to", one.string)
        #expect(twice.status == 73, "\(twice)")
        #expect(twice.errors.contains("'\(one)/etc': File exists\nhint: "), "\(twice)")
        let outside = try node.backup("extract", store, "1", "etc", "../etc/passwd", "--to", one.string)
        #expect(outside.status == 64, "\(outside)")
    }

    @Test("holds archives that GNU tar and bsdtar read", arguments: profiles) func tar(profile: String) throws {
        let node = try PracticeNodes.node(profile)
        let store = try node.store("tar")
        try node.backupDone("create", store, "--skip", "etcd")
        let points = "\(store)/points/1"
        try Shell.output("cd '\(points)'; for f in *.zst; do zstd -qt $f; done")
        let target = node.directory / "untarred"
        let except = "! -type s ! -path etc/.updated"
        let original = try PracticeNode.listing(of: node.root, "etc usr/local", except: except)
        for command in [
            "tar --zstd --xattrs --xattrs-include='*' --acls --numeric-owner -xpf",
            "bsdtar --numeric-owner --xattrs --acls -xpf",
        ] {
            try Shell.output(
                """
                set -e
                rm -rf '\(target)'; mkdir '\(target)'; cd '\(target)'
                for f in etc usr-local; do \(command) '\(points)'/$f.tar.zst; done
                """
            )
            let listing = try PracticeNode.listing(of: target, "etc usr/local", except: except)
            #expect(listing == original, "\(command)")
        }
        let names = try Shell.output(
            "cd '\(points)'; for t in 'tar --warning=no-unknown-keyword --zstd' bsdtar; do for f in *.tar.zst; do $t -tf $f > /dev/null; done; done"
        )
        #expect(names == "")
        _ = try Shell.run("rm -rf '\(target)'")
    }

    @Test("shares with the one before what has not changed, and goes when it is not wanted", arguments: profiles)
    func sharing(profile: String) throws {
        let node = try PracticeNodes.node(profile)
        let store = try node.store("sharing")
        try node.backupDone("create", store, "--skip", "etcd")
        // What was touched within a second of being read is compared by content; that is right as well.
        try Shell.output("echo '# later' >> '\(node.root)/etc/site/cron'; rm '\(node.root)/etc/site/cron'")
        let second = try JSON(parsing: try node.backupDone("create", store, "--skip", "etcd", "--json"))
        #expect(second["generation"].integer == 2)
        let manifest = try JSON(parsing: try node.backupDone("show", store, "--json"))
        #expect(manifest["components"].named("usr-local")["shared_with"].integer == 1)
        #expect(manifest["components"].named("kubelet")["shared_with"].integer == 1)
        #expect(manifest["components"].named("etc")["shared_with"].integer == nil)
        func inodes() throws -> [Substring] {
            try Shell.output("cd '\(store)/points'; stat -c %i */usr-local.tar.zst | sort -u").split(separator: "\n")
        }
        #expect(try inodes().count == 1)
        try node.backupDone("create", store, "--skip", "etcd", "--keep", "3")
        #expect(try inodes().count == 1)

        let plan = try node.backupDone("prune", store, "--keep", "1", "--dry-run")
        // Without etcd, which the node has, they are partial.
        let gone = "partial, and not one of the newest 1"
        #expect(
            plan
                == "would keep 3: partial, newer than the newest whole one\nwould remove 2: \(gone)\nwould remove 1: \(gone)\n"
        )
        #expect(try Shell.output("ls '\(store)/points'") == "1\n2\n3\n")
        let pruned = try JSON(parsing: try node.backupDone("prune", store, "--keep", "1", "--json"))
        #expect(pruned.items.map { $0["is_removed"].bool } == [false, true, true])
        #expect(try Shell.output("ls '\(store)/points'; readlink '\(store)/latest'") == "3\npoints/3\n")
        try node.backupDone("verify", store, "--all")
    }

    @Test("pins the deployment by its checksum, and undeploys nothing", arguments: profiles)
    func deployment(profile: String) throws {
        let node = try PracticeNodes.node(profile)
        let store = try node.store("deployment")
        let made = try JSON(parsing: try node.backupDone("create", store, "--component", "deployment", "--json"))
        let status = try Shell.output("ostree admin --sysroot='\(node.root)' status")
        // In a rescue system nothing is booted: the boot loader's default counts, which is 2.0.
        let blocks = status.split(separator: "\n").map(String.init)
        let lines = blocks.indices.filter { blocks[$0].contains("practice ") && !blocks[$0].contains(":") }
        #expect(lines.count == 2, "\(status)")
        #expect(blocks[lines[0]].contains(try #require(made["deployment"].text)), "\(status)")
        #expect(blocks[lines[0]..<lines[1]].contains { $0.contains("Pinned: yes") }, "\(status)")
        #expect(!blocks[lines[1]...].contains { $0.contains("Pinned: yes") }, "\(status)")
        let document = try JSON(parsing: try Shell.output("cat '\(store)/points/1/deployment.json'"))
        #expect(document["deployments"].items.map { $0["version"].text } == ["2.0", "1.0"])
        #expect(document["kept"]["version"].text == "2.0")
        #expect(
            "\(document["kept"]["checksum"].text ?? "").\(document["kept"]["serial"].integer ?? -1)"
                == made["deployment"].text
        )
    }

    @Test("pins the deployment that is booted, though it is not the first") func booted() throws {
        let directory = try TemporaryDirectory()
        let tool = try Tool(in: directory)
        let sysroot = directory / "sysroot"
        try Shell.output("\(testbed("ostree-sysroot")) \(sysroot)")
        let store = try directory.mount("recovery")
        // The deployment has no programs: this machine's /usr is laid over its own, in the namespace only.
        let result = try Shell.run(
            """
            libraries=$(ldd '\(tool.program)' | awk '$3 ~ "^/" { print $3 }' | xargs -n1 dirname | sort -u | sed 's,^,/run/host,')
            \(testbed("ostree-booted")) '\(sysroot)' 1 bash -c '
                lib=/run/host/usr/lib/x86_64-linux-gnu
                $lib/ld-linux-x86-64.so.2 --library-path $lib /run/host/usr/bin/mount --bind /run/host/usr /usr
                export PATH=/usr/bin:/usr/sbin LD_LIBRARY_PATH=$1
                /run/host\(tool.program) node-backup create --dir /run/host\(store) --json
            ' _ "$(echo $libraries | tr ' ' :)"
            """
        )
        try #require(result.status == 0, "\(result.output)")
        let document = try JSON(parsing: try Shell.output("cat '\(store)/points/1/deployment.json'"))
        #expect(document["kept"]["version"].text == "1.0")
        #expect(document["kept"]["is_booted"].bool == true)
        #expect(document["deployments"].items.map { $0["is_booted"].bool } == [false, true])
        let status = try Shell.output("ostree admin --sysroot='\(sysroot)' status")
        let lines = status.split(separator: "\n").map(String.init)
        let second = try #require(
            lines.lastIndex { $0.contains("\(document["kept"]["checksum"].text ?? "-")") },
            "\(status)"
        )
        #expect(lines[second...].contains { $0.contains("Pinned: yes") }, "\(status)")
        #expect(!lines[..<second].contains { $0.contains("Pinned: yes") }, "\(status)")
        #expect(lines.count { $0.contains("practice ") && !$0.contains(":") } == 2, "\(status)")
        let files = try Shell.output("tar --zstd -xOf '\(store)/points/1/etc.tar.zst' etc/practice.conf")
        #expect(files == "defaults of 1.0\n")
    }
}
