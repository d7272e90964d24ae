import Files
import NodeInterface
import SystemPackage
import TestSupport
import Testing

@testable import Backup

@Suite("Where etcd keeps what") struct EtcdPlaceTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func put(_ path: String, _ text: String = "x") throws {
        let full = directory / path
        try Shell.output("mkdir -p '\(full.removingLastComponent())' && cat > '\(full)' <<'END'\n\(text)\nEND")
    }

    private func find(_ profile: NodeProfile = .kubeadm, node: String = "node-1") throws -> EtcdPlace? {
        try EtcdPlace.find(in: RootDirectory(path: directory.path), profile: profile, nodeName: node)
    }

    /// A manifest: the container's lines, and pairs of a mount path and the node's path.
    private func pod(_ container: String, _ volumes: [(mount: String, host: String)], name: String = "etcd") throws {
        let mounts = volumes.enumerated().map { "{name: v\($0), mountPath: \($1.mount)}" }.joined(separator: ", ")
        let paths = volumes.enumerated().map { "  - {name: v\($0), hostPath: {path: \($1.host)}}" }
        try put(
            "etc/kubernetes/manifests/\(name).yaml",
            """
            apiVersion: v1
            kind: Pod
            metadata: {name: \(name)}
            spec:
              containers:
              - name: etcd
                image: registry.example/etcd:v3.5.21-0@sha256:00
                volumeMounts: [\(mounts)]
                \(container)
              volumes:
            \(paths.joined(separator: "\n"))
            """
        )
    }

    private let words = "--name=a, --initial-advertise-peer-urls=https://10.0.0.1:2380"

    @Test("is the path of the node behind the volume: the same, a parent, another one") func volumes() throws {
        for (option, mount, host, expected) in [
            ("/var/lib/etcd", "/var/lib/etcd", "/var/lib/etcd", "/var/lib/etcd"),
            ("/var/lib/etcd", "/var/lib", "/srv/state", "/srv/state/etcd"),
            ("/var/lib/etcd", "/var/lib/etcd", "/var/lib/etcd-restored", "/var/lib/etcd-restored"),
            ("/data//etcd/", "/data/", "/mnt/disk/", "/mnt/disk/etcd"),
        ] {
            try pod("command: [etcd, \(words), --data-dir=\(option)]", [(mount, host)])
            #expect(try find()?.data == .onNode(FilePath(expected)))
        }
    }

    @Test("is what is mounted deepest, and its part of a volume") func deepest() throws {
        try put(
            "etc/kubernetes/manifests/etcd.yaml",
            """
            kind: Pod
            spec:
              containers:
              - name: etcd
                env: [{name: PART, value: one}]
                command: [etcd, \(words), --data-dir=/d/etcd, --wal-dir=/d/etcd/log]
                volumeMounts:
                - {name: all, mountPath: /d}
                - {name: fast, mountPath: /d/etcd/log, subPathExpr: logs/$(PART)}
              volumes:
              - {name: all, hostPath: {path: /srv}}
              - {name: fast, hostPath: {path: /fast}}
            """
        )
        #expect(try find()?.data == .onNode("/srv/etcd"))
        #expect(try find()?.log == .onNode("/fast/logs/one"))
    }

    @Test("is nowhere on the node where no directory of it is mounted") func inPod() throws {
        try pod("command: [etcd, \(words), --data-dir=/var/lib/etcd]", [("/etc/kubernetes/pki", "/etc/kubernetes/pki")])
        #expect(try find()?.data == .onlyInPod("/var/lib/etcd"))
        try pod("command: [etcd, \(words)]", [("/etc/kubernetes/pki", "/etc/kubernetes/pki")])
        #expect(try find()?.data == .unknown)
        try pod("command: [etcd, \(words)]", [("/var/lib/etcd", "/var/lib/etcd")])
        #expect(try find()?.data == .onNode("/var/lib/etcd"))
    }

    @Test("is told by variables, by a script, and by a file of settings") func otherWays() throws {
        let volume = [("/var/lib/etcd", "/srv/etcd")]
        try pod(
            """
            env: [{name: ETCD_DATA_DIR, value: /var/lib/etcd/$(WHERE)}, {name: ETCD_NAME, value: e}]
                command: [/usr/local/bin/etcd]
            """,
            volume
        )
        #expect(try find()?.name == "e")
        #expect(try find()?.data == .unknown)
        try pod(
            #"""
            env: [{name: HOST, value: 10.0.0.7}]
                command:
                - /bin/sh
                - -ec
                - |
                  # etcd --data-dir=/wrong
                  export ETCD_NAME="s"
                  mkdir -p /var/lib/etcd
                  exec nice -n -19 etcd --data-dir "/var/lib/etcd/d" \
                    --initial-advertise-peer-urls=https://${HOST}:2380 --quota-backend-bytes=8589934592 || exit 1
            """#,
            volume
        )
        var place = try find()
        #expect(place?.data == .onNode("/srv/etcd/d"))
        #expect(place?.peerURLs == ["https://10.0.0.7:2380"])
        #expect(place?.quotaBackendBytes == 8_589_934_592)
        #expect(place?.imageVersion == "3.5.21")
        try pod("command: [etcd, --config-file=/var/lib/etcd/config, --data-dir=/wrong]", volume)
        try put("srv/etcd/config", "name: c\ndata-dir: /var/lib/etcd/c\nclient-transport-security: {cert-file: /x}")
        place = try find()
        #expect(place?.data == .onNode("/srv/etcd/c"))
        #expect(place?.name == "c")
    }

    @Test("is read from the manifest of that name beside a copy of it") func copies() throws {
        try pod("command: [etcd, \(words), --data-dir=/a]", [("/a", "/right")])
        try Shell.output(
            "cd '\(directory / "etc/kubernetes/manifests")' && sed s,/right,/wrong, etcd.yaml > an-etcd.yaml.backup"
        )
        #expect(try find()?.data == .onNode("/right"))
    }

    @Test("of an etcd that systemd runs is in its unit and its variables; the API server names address and files")
    func unit() throws {
        try put(
            "etc/kubernetes/manifests/kube-apiserver.yaml",
            """
            kind: Pod
            metadata: {name: kube-apiserver}
            spec:
              containers:
              - name: kube-apiserver
                image: registry.example/kube-apiserver:v1.30.1
                command: [kube-apiserver, "--etcd-servers=https://10.0.0.7:2379", --etcd-cafile=/ssl/etcd/ca.pem,
                  --etcd-certfile=/ssl/etcd/node.pem, --etcd-keyfile=/ssl/etcd/node-key.pem]
                volumeMounts: [{name: s, mountPath: /ssl/etcd}]
              volumes: [{name: s, hostPath: {path: /etc/ssl/etcd/ssl}}]
            """
        )
        #expect(try find()?.clientURLs == ["https://10.0.0.7:2379"])
        #expect(try find()?.data == .unknown)
        try put(
            "etc/systemd/system/etcd.service",
            """
            [Service]
            EnvironmentFile=-/etc/etcd.env
            ExecStart=/usr/local/bin/etcd \\
              --wal-dir ${WAL}
            """
        )
        try put("etc/etcd.env", "ETCD_DATA_DIR=/var/lib/etcd\nWAL=/fast/wal\nETCD_NAME=etcd1\n# x")
        try put("etc/systemd/system/etcd.service.d/10.conf", "[Service]\nEnvironment=\"ETCD_NAME=etcd2\" A=b")
        let place = try find()
        #expect(place?.unit == "etcd.service")
        #expect(place?.name == "etcd2")
        #expect(place?.data == .onNode("/var/lib/etcd"))
        #expect(place?.log == .onNode("/fast/wal"))
        #expect(place?.authority == "/etc/ssl/etcd/ssl/ca.pem")
        #expect(place?.pairs.first?.key == "/etc/ssl/etcd/ssl/node-key.pem")
    }

    @Test("of RKE2 is in the directory of its own manifests and in the settings beside the data") func rke2() throws {
        try put(
            "var/lib/rancher/rke2/agent/pod-manifests/etcd.yaml",
            """
            kind: Pod
            metadata: {name: etcd}
            spec:
              containers:
              - name: etcd
                command: [etcd, --config-file=/var/lib/rancher/rke2/server/db/etcd/config]
                volumeMounts: [{name: d, mountPath: /var/lib/rancher/rke2/server/db/etcd}]
              volumes: [{name: d, hostPath: {path: /var/lib/rancher/rke2/server/db/etcd}}]
            """
        )
        try put(
            "var/lib/rancher/rke2/server/db/etcd/config",
            "name: n-1\ndata-dir: /var/lib/rancher/rke2/server/db/etcd\nlisten-client-urls: https://127.0.0.1:2379"
        )
        #expect(try find()?.data == .onNode("/var/lib/rancher/rke2/server/db/etcd"))
        #expect(try find()?.clientURLs == ["https://127.0.0.1:2379"])
    }

    @Test("follows every link inside the root, also where it leads to nothing") func links() throws {
        try Shell.output(
            """
            cd '\(directory.path)' && mkdir -p var/lib srv/data && ln -s /srv/data var/lib/etcd
            ln -s ../../../../../../srv/data var/lib/up && ln -s /gone/data var/lib/none && ln -s loop var/lib/loop
            """
        )
        let root = try RootDirectory(path: directory.path)
        #expect(try root.realPath(of: "/var/lib/etcd/member") == directory / "srv/data/member")
        #expect(try root.realPath(of: "/var/lib/up") == directory / "srv/data")
        #expect(try root.realPath(of: "/var/lib/none/member") == directory / "gone/data/member")
        #expect(try root.place(of: "/var/lib/etcd").links == ["/var/lib/etcd"])
        #expect(throws: FilesError.self) { try root.realPath(of: "/var/lib/loop") }
    }
}

@Suite("A shell script") struct ShellScriptTests {
    @Test("is taken apart into words as a shell does it") func words() {
        let script = ShellScript(
            #"""
            set -eu; A='one two' B="x$A"   # comment
            run "$A" $A ${C:-dflt} ${D} "${A}y" 'it''s' a\ b $(date +%s) 2>/dev/null && next\
            line || { other; }
            """#
        )
        #expect(
            script.commands == [
                ["set", "-eu"],
                [
                    "run", "one two", "one", "two", "dflt", "${D}", "one twoy", "its", "a b", "$(date +%s)", "2",
                    "/dev/null",
                ],
                ["nextline"], ["other"],
            ]
        )
        #expect(script.variables["B"] == "xone two")
    }

    @Test("ends wherever it is cut") func cut() {
        let whole = #"A="x ${B:-y}" run 'a' "b \$" `c` $(d) \"#
        for length in 0...whole.count { _ = ShellScript(String(whole.prefix(length))) }
    }
}
