import Files
import Glibc
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Recovery

@Suite("etcd's place") struct EtcdPlacementTests {
    private static let identity = "00112233445566ff"
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        try Shell.output("mkdir -p '\(directory.path)/var/lib'")
    }

    private func placement(_ identity: String = identity) throws -> EtcdPlacement {
        try EtcdPlacement(
            EtcdMember(name: "a", peerURLs: ["https://127.0.0.1:2380"], dataDirectory: "/var/lib/etcd"),
            in: RootDirectory(path: directory.path),
            recovery: identity
        )
    }

    private func make(_ name: String, _ text: String) throws {
        try Shell.output("mkdir -p '\(data)/\(name)/snap' && echo '\(text)' > '\(data)/\(name)/snap/db'")
    }

    private var data: FilePath { directory / "var/lib/etcd" }

    private func stage(_ text: String = "restored", _ identity: String = identity) throws {
        let placement = try placement(identity)
        try placement.clear()
        try make(".node-recovery-\(identity).building/member", text)
        try placement.stage()
    }

    /// What is there: `member=restored`.
    private func found() throws -> [String] {
        try Shell.output(
            """
            cd '\(data)' && for name in $(ls -A); do
                echo "$name=$(cat $name/snap/db $name/member/snap/db 2> /dev/null)"
            done
            """
        ).split(separator: "\n").map { String($0) }
    }

    @Test("lets the restored member and the failed one change places, and a second look says so") func swap() throws {
        try make("member", "failed")
        try stage()
        let placement = try placement()
        #expect(try placement.state() == .staged)
        try placement.swap()
        #expect(try placement.state() == .swapped)
        #expect(try found() == ["member=restored", "member.before-\(Self.identity)=failed"])
    }

    @Test("cut after any of its renames and run again ends the same", arguments: 0...5) func cut(after steps: Int)
        throws
    {
        try make("member", "failed")
        try stage()
        let staged = ".node-recovery-\(Self.identity)"
        let renames = [
            "mv member member.before-\(Self.identity)",
            "mv \(staged)/member member",
            "rmdir \(staged)",
        ]
        for line in renames.prefix(steps) { try Shell.output("cd '\(data)' && \(line)") }
        // a fourth cut: half of the staged directory is removed; a fifth: a member was made meanwhile
        if steps == 4 { try Shell.output("cd '\(data)' && mkdir \(staged)") }
        if steps == 5 {
            try Shell.output("rm -r '\(data)'")
            try make("member.before-\(Self.identity)", "failed")
            try make("member", "made meanwhile")
            try stage()
        }
        let placement = try placement()
        if try placement.state() == .staged { try placement.swap() }
        try placement.tidy()
        #expect(try placement.state() == .swapped)
        #expect(try found() == ["member=restored", "member.before-\(Self.identity)=failed"])
    }

    @Test("where there was no member remembers that, so that a second run changes nothing") func nothingBefore() throws
    {
        try stage()
        let placement = try placement()
        try placement.swap()
        #expect(try placement.state() == .swapped)
        #expect(try found() == ["member=restored", "member.before-\(Self.identity)="])
        // and the way back leads to none
        let back = try self.placement("ffffffffffffffff")
        #expect(try back.takeBack(keptBy: Self.identity))
        #expect(try found() == ["member.before-ffffffffffffffff=restored"])
        #expect(try back.takeBack(keptBy: Self.identity))
    }

    @Test("is refused as long as a process holds the database") func inUse() throws {
        try make("member", "failed")
        try stage()
        let database = try FileDescriptor.open(data.appending("member/snap/db"), .readWrite)
        defer { try? database.close() }
        try #require(flock(database.rawValue, LOCK_EX | LOCK_NB) == 0)
        let placement = try placement()
        let error = #expect(throws: RecoveryError.self) { try placement.swap() }
        #expect(error?.summary.contains("\(data)/member/snap/db") == true)
        #expect(error?.exitStatus == .unavailable)
        #expect(error?.hint?.contains("fuser") == true)
        #expect(try found() == [".node-recovery-\(Self.identity)=restored", "member=failed"])
        try #require(flock(database.rawValue, LOCK_UN) == 0)
        try placement.swap()
        #expect(try found().first == "member=restored")
    }

    @Test("gives the kept member back, and keeps the present one, cut anywhere", arguments: 0...3)
    func takeBack(after steps: Int) throws {
        try make("member", "restored")
        try make("member.before-\(Self.identity)", "failed")
        let lines = [
            "mv member member.before-ffffffffffffffff", "mv member.before-\(Self.identity) member",
        ]
        for line in lines.prefix(steps) { try Shell.output("cd '\(data)' && \(line)") }
        if steps == 3 {
            try Shell.output("rm -r '\(data)'")
            try make("member", "made meanwhile")
            try make("member.before-\(Self.identity)", "failed")
            try make("member.before-ffffffffffffffff", "restored")
        }
        #expect(try placement("ffffffffffffffff").takeBack(keptBy: Self.identity))
        #expect(try found() == ["member=failed", "member.before-ffffffffffffffff=restored"])
    }

    @Test("has nothing to give back when no recovery has kept one") func nothingKept() throws {
        #expect(try !placement("ffffffffffffffff").takeBack(keptBy: Self.identity))
        #expect(try Shell.run("ls '\(data)'").status != 0)
        try make("member", "restored")
        #expect(try !placement("ffffffffffffffff").takeBack(keptBy: Self.identity))
        #expect(try found() == ["member=restored"])
    }

    @Test("is tidied of what was staged and of what earlier recoveries have kept, and of nothing else") func tidy()
        throws
    {
        try make("member", "restored")
        try make("member.before-\(Self.identity)", "failed")
        try make("member.before-1111111111111111", "older")
        try make("lost+found", "")
        try stage()
        try placement().tidy()
        #expect(try found() == ["lost+found=", "member=restored", "member.before-\(Self.identity)=failed"])
    }

    // MARK: A log of its own, mount points, links

    private func logPlacement(_ identity: String = identity) throws -> EtcdPlacement {
        try EtcdPlacement(
            EtcdMember(
                name: "a",
                peerURLs: ["https://127.0.0.1:2380"],
                dataDirectory: "/var/lib/etcd",
                logDirectory: "/var/lib/wal"
            ),
            in: RootDirectory(path: directory.path),
            recovery: identity
        )
    }

    private func stageWithLog(_ identity: String = identity) throws {
        let placement = try logPlacement(identity)
        try placement.clear()
        try make(".node-recovery-\(identity).building/member", "restored")
        try Shell.output(
            "cd '\(data)/.node-recovery-\(identity).building/member' && mkdir wal && echo restored > wal/0.wal"
        )
        try placement.stage()
    }

    private func log() throws -> [String] {
        try Shell.output("cd '\(directory / "var/lib/wal")' && find . -type f -exec grep -H . {} + | LC_ALL=C sort")
            .split(separator: "\n").map { String($0.dropFirst(2)) }
    }

    @Test("of a log of its own changes places with it, cut anywhere, and back", arguments: 0...5)
    func ownLog(after steps: Int) throws {
        try make("member", "failed")
        try Shell.output("cd '\(directory / "var/lib")' && mkdir wal && echo failed | tee wal/0.wal > wal/1.wal")
        try stageWithLog()
        let staged = ".node-recovery-\(Self.identity)"
        let moves = [
            "cd wal; mkdir \(staged).keeping", "cd wal; mv 0.wal \(staged).keeping",
            "cd wal; mv 1.wal \(staged).keeping; mv \(staged).keeping before-\(Self.identity)",
            "cd wal; mv \(staged)/0.wal .", "cd wal; rmdir \(staged)",
        ]
        for line in moves.prefix(steps) { try Shell.output("cd '\(directory / "var/lib")' && \(line)") }
        let placement = try logPlacement()
        #expect(try placement.state() == .staged)
        try placement.swap()
        #expect(try placement.state() == .swapped)
        try placement.swap()
        #expect(try found() == ["member=restored", "member.before-\(Self.identity)=failed"])
        #expect(try Shell.run("ls '\(data)/member/wal'").status != 0)
        let kept = "before-\(Self.identity)"
        #expect(try log() == ["0.wal:restored", "\(kept)/0.wal:failed", "\(kept)/1.wal:failed"])
        // and the undo
        let back = try logPlacement("ffffffffffffffff")
        #expect(try back.takeBack(keptBy: Self.identity))
        #expect(try back.takeBack(keptBy: Self.identity))
        #expect(try found() == ["member=failed", "member.before-ffffffffffffffff=restored"])
        #expect(try log() == ["0.wal:failed", "1.wal:failed", "before-ffffffffffffffff/0.wal:restored"])
        try logPlacement("1111111111111111").tidy()
        #expect(try log() == ["0.wal:failed", "1.wal:failed"])
    }

    @Test("of a log of its own shows no trace of a staging that was taken back", arguments: [true, false])
    func ownLogTraceless(isThere: Bool) throws {
        if isThere {
            try make("member", "failed")
            try Shell.output("cd '\(directory / "var/lib")' && mkdir wal && echo failed > wal/0.wal")
        }
        try Shell.output("find '\(directory.path)' -exec touch -d '2020-02-02 02:02:02.5 UTC' {} +")
        func look() throws -> String {
            try Shell.output("cd '\(directory.path)' && find . -printf '%p %y %m %T@ %s\\n' | LC_ALL=C sort")
        }
        let before = try look()
        let placement = try logPlacement()
        try placement.keepingTime { try stageWithLog() }
        #expect(try placement.state() == .staged)
        try placement.removeStaged()
        #expect(try look() == before)
    }

    @Test("exchanges the contents of a member that is a mount point") func mountedMember() throws {
        try Shell.output("mkdir -p '\(data)/member'")
        _ = try directory.mount("var/lib/etcd/member", options: "size=10m")
        try make("member", "failed")
        let placement = try placement()
        try placement.refuseUnlessReplaceable()
        #expect(placement.building == data.appending("member/.node-recovery-\(Self.identity).building"))
        try placement.clear()
        try make("member/.node-recovery-\(Self.identity).building/member", "restored")
        try placement.stage()
        #expect(try placement.state() == .staged)
        try placement.swap()
        #expect(try placement.state() == .swapped)
        #expect(try Shell.output("cat '\(data)/member/snap/db'").trimmed == "restored")
        #expect(try Shell.output("cat '\(data)/member/before-\(Self.identity)/snap/db'").trimmed == "failed")
        #expect(try self.placement("ffffffffffffffff").takeBack(keptBy: Self.identity))
        #expect(try Shell.output("cat '\(data)/member/snap/db'").trimmed == "failed")
    }

    @Test("is refused before anything changes where a part of the member is a mount point") func mountedPart() throws {
        try make("member", "failed")
        try Shell.output("mkdir '\(data)/member/wal'")
        _ = try directory.mount("var/lib/etcd/member/wal", options: "size=1m")
        let error = #expect(throws: EtcdRefusal.self) { try placement().refuseUnlessReplaceable() }
        #expect(error?.summary.contains("member/wal") == true)
        #expect(error?.hint?.contains("umount") == true)
    }

    @Test("follows a link inside the root only") func link() throws {
        try Shell.output(
            "cd '\(directory.path)' && mkdir -p '.\(directory.path)/out' out && ln -s '\(directory.path)/out' var/lib/etcd"
        )
        #expect(try placement().directory == directory.path.appending("\(directory.path)/out".dropFirst().description))
    }

    @Test("shows no trace of a staging that was taken back, not even in times", arguments: [true, false])
    func traceless(isThere: Bool) throws {
        if isThere { try make("member", "failed") }
        try Shell.output("find '\(directory.path)' -exec touch -d '2020-02-02 02:02:02.5 UTC' {} +")
        func look() throws -> String {
            try Shell.output("cd '\(directory.path)' && find . -printf '%p %y %m %T@ %s\\n' | LC_ALL=C sort")
        }
        let before = try look()
        let placement = try placement()
        try placement.keepingTime { try stage() }
        #expect(try placement.state() == .staged)
        try placement.removeStaged()
        #expect(try look() == before)
        #expect(throws: InjectedFault.self) { try placement.keepingTime { throw InjectedFault(call: "restore") } }
        try placement.removeStaged()
        #expect(try look() == before)
    }
}

@Suite("The etcd member of a recovery point") struct EtcdMemberTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func write(_ path: String, _ text: String) throws {
        try Shell.output("mkdir -p \"$(dirname '\(directory.path)/\(path)')\"")
        let place = directory.path.appending(path)
        let parent = try Directory(path: place.removingLastComponent())
        try AtomicFile.write(Array(text.utf8), to: try #require(place.lastComponent), in: parent)
    }

    private func read(_ profile: NodeProfile, _ name: String = "node-7") throws -> EtcdMember {
        try EtcdMember.read(from: RootDirectory(path: directory.path), profile: profile, nodeName: name)
    }

    private let manifest = "etc/kubernetes/manifests/etcd.yaml"
    private let environment = String("\(WellKnownPaths.etcdEnvironment)".dropFirst())

    private func pod(_ words: String) -> String {
        "kind: Pod\nspec:\n  containers:\n  - name: etcd\n    command: [\(words)]\n"
            + "    volumeMounts: [{name: a, mountPath: /var/lib/etcd}, {name: a, mountPath: /data/etcd}]\n"
            + "  volumes: [{name: a, hostPath: {path: /var/lib/etcd}}]\n"
    }

    @Test("of kubeadm is on the command line of its static pod") func kubeadm() throws {
        try write(
            manifest,
            pod(
                "etcd, --name=a.b-c, \"--initial-advertise-peer-urls=https://10.0.0.1:2380,https://10.0.0.2:2380\", --data-dir=/data/etcd"
            )
        )
        #expect(
            try read(.kubeadm)
                == EtcdMember(
                    name: "a.b-c",
                    peerURLs: ["https://10.0.0.1:2380", "https://10.0.0.2:2380"],
                    dataDirectory: "/var/lib/etcd"
                )
        )
    }

    @Test("of kubeadm has the usual data directory when none is named, and needs a name and peer URLs")
    func kubeadmDefaults() throws {
        #expect(throws: RecoveryError.self) { try read(.kubeadm) }
        try write(manifest, pod("etcd, --name=a, --initial-advertise-peer-urls=https://h:2380"))
        #expect(try read(.kubeadm).dataDirectory == "/var/lib/etcd")
        for words in ["etcd, --name=a", "etcd, --initial-advertise-peer-urls=https://h:2380", "sh"] {
            try write(manifest, pod(words))
            let error = #expect(throws: RecoveryError.self) { try read(.kubeadm) }
            #expect(error?.summary.contains("etcd.yaml") == true)
            #expect(error?.exitStatus == .dataError)
            #expect(error?.hint?.contains("static-pods") == true)
        }
    }

    @Test(
        "of openshift is found by the node's name, dots and dashes in it or not",
        arguments: ["node-7", "node-7.sub-zone.example.com", "node"]
    )
    func openshift(name: String) throws {
        let key = String(name.map { $0 == "-" || $0 == "." ? "_" : $0 })
        try write(
            environment,
            """
            export NODE_other_ETCD_NAME="other"
            export NODE_other_ETCD_URL_HOST="10.9.9.9"
            export NODE_\(key)_ETCD_NAME="\(name)"
            export NODE_\(key)_ETCD_URL_HOST="10.0.0.7"

            """
        )
        #expect(
            try read(.openshift, name)
                == EtcdMember(name: name, peerURLs: ["https://10.0.0.7:2380"], dataDirectory: "/var/lib/etcd")
        )
        // with another name nobody can tell which of the two it is
        #expect(throws: RecoveryError.self) { try read(.openshift, "somebody-else") }
    }

    @Test("of openshift is the only one there when the node's name is not there") func openshiftOnly() throws {
        let host = "export NODE_a_b_ETCD_URL_HOST=10.0.0.7\n"
        let member = "export NODE_a_b_ETCD_NAME='a.b'\nexport ETCD_DATA_DIR=/data\n"
        try write(environment, host + member)
        #expect(
            try read(.openshift) == EtcdMember(name: "a.b", peerURLs: ["https://10.0.0.7:2380"], dataDirectory: "/data")
        )
        for text in ["", host, member] {
            try write(environment, text)
            let error = #expect(throws: RecoveryError.self) { try read(.openshift) }
            #expect(error?.summary.contains("etcd.env") == true)
        }
        try Shell.output("rm '\(directory.path)/\(environment)'")
        #expect(throws: RecoveryError.self) { try read(.openshift) }
    }

    @Test("of an etcd outside a static pod is the one member of the snapshot that fits") func fromSnapshot() throws {
        try write("etc/etcd.env", "ETCD_DATA_DIR=/srv/etcd\nETCD_NAME=b\n")
        let all = [("a", "https://10.0.0.1:2380"), ("b", "https://10.0.0.2:2380")].map {
            EtcdMemberEntry(name: $0, peerURLs: [$1], isLearner: false)
        }
        func read(_ members: [EtcdMemberEntry]?) throws -> EtcdMember {
            try EtcdMember.read(
                from: RootDirectory(path: directory.path),
                profile: .kubeadm,
                nodeName: "n",
                members: members
            )
        }
        #expect(try read(all).peerURLs == ["https://10.0.0.2:2380"])
        #expect(try read(all).dataDirectory == "/srv/etcd")
        for members in [nil, [], [all[0]], [all[1], all[1]]] {
            #expect(throws: RecoveryError.self) { try read(members) }
        }
    }

    @Test("is refused where its data would be in the pod only") func inPod() throws {
        try write(manifest, pod("etcd, --name=a, --initial-advertise-peer-urls=https://h:2380, --data-dir=/other"))
        let error = #expect(throws: EtcdRefusal.self) { try read(.kubeadm) }
        #expect(error?.summary.contains("/other") == true)
    }

    @Test("is unknown without static pods, and on a plain node") func unknown() throws {
        #expect(throws: RecoveryError.self) { try EtcdMember.read(from: nil, profile: .kubeadm, nodeName: "a") }
        #expect(throws: RecoveryError.self) { try read(.plain) }
    }
}

@Suite("The certificates of a node") struct RecoveryCertificatesTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test("are those that pods, kubeconfigs and the kubelet name, and none that nothing uses") func named() throws {
        try Shell.output(
            """
            set -e; cd '\(directory.path)'
            mkdir -p etc/kubernetes/manifests etc/kubernetes/ssl/old etc/kubernetes/pki/old var/lib/kubelet/pki opt/k
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3 -subj /CN=one \
                -keyout key -out cert 2> /dev/null
            for name in etc/kubernetes/ssl/apiserver.crt etc/kubernetes/ssl/ca.crt etc/kubernetes/ssl/old/x.crt \
                etc/kubernetes/pki/old/y.crt var/lib/kubelet/pki/serving.crt opt/k/scheduler.crt; do cp cert $name; done
            cat > etc/kubernetes/manifests/api.yaml << END
            kind: Pod
            metadata: {name: api}
            spec:
              containers:
              - name: api
                command: [kube-apiserver, --tls-cert-file=/ssl/apiserver.crt, --client-ca-file=/ssl/ca.crt]
                volumeMounts: [{name: s, mountPath: /ssl}]
              - name: scheduler
                command: [kube-scheduler, --kubeconfig, /c/scheduler.conf]
                volumeMounts: [{name: c, mountPath: /c}]
              volumes: [{name: s, hostPath: {path: /etc/kubernetes/ssl}}, {name: c, hostPath: {path: /opt/k}}]
            END
            printf 'users: [{name: s, user: {client-certificate: scheduler.crt}}]\\n' > opt/k/scheduler.conf
            printf 'users: [{name: a, user: {client-certificate-data: %s}}]\\n' "$(base64 -w0 cert)" \
                > etc/kubernetes/admin.conf
            printf 'kind: KubeletConfiguration\\ntlsCertFile: /var/lib/kubelet/pki/serving.crt\\n' \
                > var/lib/kubelet/config.yaml
            """
        )
        let found = try DatedCertificate.all(in: RootDirectory(path: directory.path))
        #expect(
            found.map(\.path.string) == [
                "/var/lib/kubelet/pki/serving.crt", "/etc/kubernetes/ssl/apiserver.crt", "/etc/kubernetes/admin.conf",
                "/opt/k/scheduler.crt",
            ]
        )
        #expect(found.allSatisfy { $0.commonName == "one" && $0.notAfter - $0.notBefore == 3 * 86_400 })
        let early = CertificatesFromTheFuture(found, now: FileTime(seconds: 0, nanoseconds: 0))
        #expect(early?.summary.contains("the clock says 1970-01-01") == true)
        #expect(early?.summary.contains("4 certificates") == true)
        #expect(CertificatesFromTheFuture(found, now: FileTime(seconds: found[0].notBefore, nanoseconds: 0)) == nil)
    }
}
