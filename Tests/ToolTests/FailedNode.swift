import SystemPackage
import TestSupport
import Testing

/// A small kubeadm node with a recovery point that was taken of a real etcd, and what a failed upgrade left of it.
///
/// It is made once; each trial is a copy in memory.
final class FailedNode: Sendable {
    let directory: TemporaryDirectory
    let tool: Tool
    /// The copy that nothing runs on, and how it stands after a recovery that nothing disturbed.
    let template: Trial
    let end: String
    let etcdAtEnd: String
    /// The undisturbed recovery's calls, step by step.
    let trace: RecoveryTrace

    /// One node and its recovery points.
    struct Trial {
        let place: FilePath
        let tool: Tool

        var root: FilePath { place.appending("node") }
        var store: FilePath { place.appending("recovery") }

        /// Runs `upgrade-recovery` on it.
        func run(_ arguments: String..., under wrapper: [String] = [], limit: Duration = .seconds(60)) throws
            -> Tool.Result
        {
            try tool.run(
                "upgrade-recovery",
                ["--root", root.string, "--dir", store.string] + arguments,
                under: wrapper,
                limit: limit
            )
        }

        /// Every file of the node with all that a recovery brings back, and etcd as far as it does not depend on the
        /// identity of the recovery.
        func state() throws -> String {
            let all = try Shell.output(
                """
                set -e
                cd '\(root)'
                find . -path './var/lib/etcd/*' -prune -o -path ./var/lib/etcd -prune -o -printf '%p %y %m %U:%G %n %T@ %s %l\\n' | LC_ALL=C sort
                find . -path ./var/lib/etcd -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
                find . -path ./var/lib/etcd -prune -o ! -type l -print0 | LC_ALL=C sort -z \
                    | xargs -0r getfattr -h -d -m - -e hex --absolute-names
                find var/lib/etcd -path '*.before-*/*' -prune -o -printf '%p %y %m %U:%G\\n' | LC_ALL=C sort
                cat var/lib/etcd/member.before-*/snap/db | sha256sum
                """
            )
            // the directory around a file of the machine config is not itself a part of it
            return all.replacing(/(\.\/opt\/site d .* )[0-9.]{12,}/, with: { "\($0.1)TIME" })
                .replacing(/before-[0-9a-f]{16}/, with: "before-ID") + (try etcd())
        }

        /// What is in etcd's data directory, by the tool that looks into databases.
        func etcd() throws -> String {
            let result = try tool.run(
                "etcd-snapshot",
                ["status", "\(root)/var/lib/etcd/member/snap/db", "--write-out", "json"]
            )
            guard result.status == 0 else { return "\(result)" }
            let status = try JSON(parsing: result.output)
            return ["revision", "totalKey"].map { "\($0)=\(status[$0].integer ?? -1)" }.joined(separator: " ")
        }

        /// The whole node, etcd and times included, and what a run that fails must leave as it was.
        func everything() throws -> String {
            try Shell.output(
                """
                set -e
                cd '\(root)'
                find . -printf '%p %y %m %U:%G %n %T@ %s %l\\n' | LC_ALL=C sort
                find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
                find . ! -type l -print0 | LC_ALL=C sort -z | xargs -0r getfattr -h -d -m - -e hex --absolute-names
                """
            )
        }

        /// The step of the journal's last line and what it says of it; empty when there is no journal.
        func last() throws -> (step: String, event: String) {
            let result = try Shell.run("tail -n 1 '\(store)/journal' | cut -c 10-")
            guard let line = try? JSON(parsing: result.output) else { return ("", "") }
            return (line["step"].text ?? "", line["event"].text ?? "")
        }

        /// Names that are in the store only while a recovery is under way.
        func leftovers() throws -> String {
            try Shell.output(
                """
                cd '\(store)'
                ls -A | grep -vxE 'points|latest|lock|status.json|journal.last|upgrade-recovery(.sh)?' || true
                ls points | grep -vxE '[0-9]+' || true
                """
            ).trimmed
        }
    }

    init() throws {
        directory = try TemporaryDirectory()
        let tool = try Tool(in: directory)
        self.tool = tool
        let place = try directory.mount("work", options: "size=3g")
        let made = Trial(place: place.appending("made"), tool: tool)
        try Shell.output("mkdir -p '\(made.root)/var/lib' '\(made.store)'")
        do {
            let etcd = try RunningEtcd(in: place.appending("etcd"))
            try etcd.etcdctl("put /registry/pods/a one")
            try etcd.etcdctl("put /registry/pods/b two")
            try etcd.etcdctl("put /registry/pods/a three")
            try Self.makeFiles(made.root, port: etcd.port)
            let result = try tool.run(
                "node-backup",
                ["create", "--root", made.root.string, "--dir", made.store.string, "--allow-rootfs"]
            )
            try #require(result.status == 0, "\(result)")
            etcd.end()
        }
        try Self.breakFiles(made.root)
        template = made
        let reference = Trial(place: place.appending("reference"), tool: tool)
        try Shell.output("cp -a '\(made.place)' '\(reference.place)'")
        let file = directory / "trace"
        let result = try reference.run(
            under: [
                "strace", "-f", "-qq", "-s", "200", "-o", file.string, "-e",
                "trace=\(RecoveryTrace.names.joined(separator: ","))", "-e", "signal=none",
            ]
        )
        try #require(result.status == 0, "\(result)")
        end = try reference.state()
        etcdAtEnd = try reference.etcd()
        trace = try RecoveryTrace(reading: file)
    }

    private static func makeFiles(_ root: FilePath, port: UInt16) throws {
        try Shell.output(
            """
            set -e
            cd '\(root)'
            mkdir -p etc/kubernetes/manifests etc/kubernetes/pki etc/systemd/system usr/local/bin var/lib/kubelet/pki opt/site
            mkdir -p etc/machine-config-daemon var/lib/etcd/member/snap
            echo node-7 > etc/hostname
            echo 0123456789abcdef0123456789abcdef > etc/machine-id
            for i in $(seq 6); do
                echo "file $i" > etc/file-$i
                seq 300 > usr/local/bin/program-$i
                head -c 2000 /dev/urandom > var/lib/kubelet/pki/key-$i
            done
            chmod 4755 usr/local/bin/program-1
            chmod 600 var/lib/kubelet/pki/*
            chown 12:34 etc/file-2
            ln etc/file-1 etc/file-1.link
            ln -s file-1 etc/link
            mkfifo etc/pipe
            setfattr -n user.color -v blue etc/file-3
            setfacl -m u:12:r etc/file-4
            echo site > opt/site/agent.conf
            echo '{"spec":{"config":{"storage":{"files":[{"path":"/opt/site/agent.conf"}]}}}}' \
                > etc/machine-config-daemon/currentconfig
            cat > etc/kubernetes/manifests/etcd.yaml << 'END'
            kind: Pod
            metadata: {name: etcd, namespace: kube-system}
            spec:
              containers:
              - name: etcd
                image: registry.example/etcd:3.5
                command:
                - etcd
                - --name=node-7
                - --data-dir=/var/lib/etcd
                - --listen-client-urls=http://127.0.0.1:\(port)
                - --initial-advertise-peer-urls=http://127.0.0.1:2380
                - --tls-cert-file=/etc/kubernetes/pki/apiserver.crt
                volumeMounts:
                - {name: pki, mountPath: /etc/kubernetes/pki}
                - {name: data, mountPath: /var/lib/etcd}
              volumes:
              - {name: data, hostPath: {path: /var/lib/etcd}}
              - {name: pki, hostPath: {path: /etc/kubernetes/pki}}
            END
            sed 's/etcd/kube-apiserver/g' etc/kubernetes/manifests/etcd.yaml > etc/kubernetes/manifests/kube-apiserver.yaml
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9000 -subj /CN=kube-apiserver \
                -keyout etc/kubernetes/pki/apiserver.key -out etc/kubernetes/pki/apiserver.crt 2> /dev/null
            echo 'the database of the failed etcd' > var/lib/etcd/member/snap/db
            """
        )
    }

    private static func breakFiles(_ root: FilePath) throws {
        try Shell.output(
            """
            set -e
            cd '\(root)'
            echo half > etc/file-2
            rm etc/file-3 etc/file-1.link etc/pipe usr/local/bin/program-1 etc/kubernetes/pki/apiserver.crt
            chmod 640 etc/file-5
            setfacl -b etc/file-4
            touch -d '2001-02-03' etc/file-6
            rm etc/link && mkdir etc/link && echo new > etc/link/new
            mkdir -p etc/left/behind && echo new > etc/left/behind/file
            seq 400 > usr/local/bin/program-2
            seq 400 > usr/local/bin/new
            rm -r var/lib/kubelet/pki && mkdir var/lib/kubelet/pki
            chmod 600 opt/site/agent.conf
            echo spoilt >> opt/site/agent.conf
            sed -i s/registry.example/elsewhere.example/ etc/kubernetes/manifests/kube-apiserver.yaml
            """
        )
    }

    /// A copy of the failed node under a name of its own; one that is there is replaced.
    func trial(_ name: String) throws -> Trial {
        let trial = Trial(place: template.place.removingLastComponent().appending(name), tool: tool)
        try Shell.output("rm -rf '\(trial.place)' && cp -a '\(template.place)' '\(trial.place)'")
        return trial
    }

    /// The lines that one of two states has and the other has not.
    static func difference(_ found: String, _ wanted: String) -> String {
        let (found, wanted) = (found.split(separator: "\n"), wanted.split(separator: "\n"))
        let (all, known) = (Set(found), Set(wanted))
        return
            (found.filter { !known.contains($0) }.map { "+ \($0)" }
            + wanted.filter { !all.contains($0) }.map { "- \($0)" }).joined(separator: "\n")
    }

    /// Does what a person does after a recovery that was cut or failed, and expects the end of an undisturbed one.
    func expectEnd(_ trial: Trial, after what: String, resumes: Bool = true) throws {
        let proved = ["", "verify", "identity", "certificates", "images", "bootable", "space", "rehearse-etcd"]
        let (step, _) = try trial.last()
        let isThere = try Shell.run("test -e '\(trial.store)/journal'").status == 0
        let isDone = try !isThere && Shell.run("test -e '\(trial.store)/journal.last'").status == 0
        if !isDone {
            let result =
                isThere && (resumes || !proved.contains(step)) ? try trial.run("--resume") : try trial.run()
            #expect(result.status == 0, "\(what): \(result)")
        }
        let difference = Self.difference(try trial.state(), end)
        #expect(difference == "", "\(what): \(difference)")
        #expect(try trial.leftovers() == "", "\(what)")
        #expect(try Shell.output("ls '\(trial.store)/points'").trimmed == "1\n2", "\(what)")
    }
}

/// What strace tells of an undisturbed recovery.
struct RecoveryTrace {
    /// A system call that can be addressed: strace counts by name and thread, and strikes in the thread that is first.
    struct Call: Hashable, CustomStringConvertible {
        var name: String
        var number: Int
        var step: String

        var description: String { "\(name) \(number) in '\(step)'" }
    }

    /// Calls that change what is on disk, or show where a run is.
    static let changing = [
        "write", "pwrite64", "writev", "mkdirat", "mkdir", "renameat", "renameat2", "linkat", "symlinkat", "unlinkat",
        "mknodat", "fchmod", "fchmodat", "fchown", "fchownat", "utimensat", "setxattr", "lsetxattr", "fsetxattr",
        "removexattr", "ftruncate", "fallocate", "fsync", "fdatasync", "syncfs",
    ]
    static let looking = ["openat", "openat2", "pread64", "getdents64", "newfstatat", "statx", "readlinkat"]
    static var names: [String] { changing + looking }

    /// In order.
    var calls: [Call] = []

    init(reading path: FilePath) throws {
        var counts: [String: Int] = [:]
        var seen: Set<String> = []
        var step = ""
        for line in try Shell.output("cat '\(path)'").split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
            // a short process number is padded
            guard words.count == 2, let end = words[1].firstIndex(of: "(") else { continue }
            let name = String(words[1][..<end].drop { $0 == " " })
            guard name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) else { continue }
            if name.contains("write"), words[1].contains(#"\"event\":"#),
                let match = words[1].firstMatch(of: /\\"event\\":\\"started\\",\\"step\\":\\"([a-z-]+)\\"/)
            {
                step = String(match.1)
            }
            counts["\(words[0]) \(name)", default: 0] += 1
            let number = counts["\(words[0]) \(name)"] ?? 0
            if seen.insert("\(name) \(number)").inserted {
                calls.append(Call(name: name, number: number, step: step))
            }
        }
    }
}

/// Raises the failed node once for a suite.
struct FailedNodes: SuiteTrait, TestScoping {
    @TaskLocal static var shared: FailedNode?

    static func node() throws -> FailedNode { try #require(shared) }

    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        try await Self.$shared.withValue(try FailedNode(), operation: function)
    }
}
