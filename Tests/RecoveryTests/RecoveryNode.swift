import Backup
import Files
import Glibc
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Recovery

/// A node in a temporary directory whose services follow a script, with a recovery point and what an upgrade broke.
final class RecoveryNode {
    let directory: TemporaryDirectory
    let root: FilePath
    let store: FilePath
    let profile: NodeProfile
    let recorder = CallRecorder()
    let log = LogRecorder()
    let units: ScriptedUnits
    var pods: ScriptedPods
    let cluster: ScriptedCluster
    var etcd = ScriptedEtcd()
    var deployments = ScriptedDeployments()
    var containers = ScriptedContainers()
    /// Whether services run below the root.
    var isRunning = true
    var now: Int64 = 1_795_228_625

    static let image = "registry.example/etcd:3.5"

    init(
        _ profile: NodeProfile = .kubeadm,
        breaks: Bool = true,
        units names: [String] = ["kubelet.service", "crio.service"]
    ) async throws {
        self.profile = profile
        directory = try TemporaryDirectory()
        let place = try directory.mount("work", options: "size=200m")
        root = place.appending("node")
        store = place.appending("recovery")
        units = ScriptedUnits(names, recorder: recorder)
        pods = ScriptedPods([], recorder: recorder)
        cluster = ScriptedCluster(.init(), recorder: recorder)
        try makeFiles()
        script()
        try await takePoint()
        if breaks { try breakNode() }
        recorder.forget()
    }

    /// A node with the files, the times and the recovery points of another one.
    init(copying other: RecoveryNode) throws {
        profile = other.profile
        directory = try TemporaryDirectory()
        let place = try directory.mount("work", options: "size=200m")
        root = place.appending("node")
        store = place.appending("recovery")
        units = ScriptedUnits(recorder: recorder)
        pods = ScriptedPods([], recorder: recorder)
        cluster = ScriptedCluster(.init(), recorder: recorder)
        try Shell.output("cp -a '\(other.root)' '\(other.store)' '\(place)/'")
        script()
    }

    /// The same with the other one's container runtime.
    convenience init(copying other: RecoveryNode, like runtime: RecoveryNode) throws {
        try self.init(copying: other)
        containers = runtime.containers
    }

    // MARK: Files

    private func makeFiles() throws {
        let pod = { (name: String, command: String) in
            """
            apiVersion: v1
            kind: Pod
            metadata: {name: \(name), namespace: kube-system}
            spec:
              containers:
              - name: \(name)
                image: \(Self.image)
                command: [\(command)]
                volumeMounts: [{name: data, mountPath: /var/lib/etcd}, {name: keys, mountPath: /keys}]
              volumes:
              - {name: data, hostPath: {path: /var/lib/etcd}}
              - {name: keys, hostPath: {path: /etc/kubernetes/pki/etcd}}
            """
        }
        try Shell.output(
            """
            set -e
            mkdir -p '\(store)' '\(root)'
            cd '\(root)'
            mkdir -p etc/systemd/system usr/local/bin var/lib/kubelet/pki var/lib/etcd/member/snap opt/site
            mkdir -p proc/sys/kernel/random etc/machine-config-daemon
            echo node-7 > etc/hostname
            echo 0123456789abcdef0123456789abcdef > etc/machine-id
            echo '127.0.0.1 localhost' > etc/hosts
            echo tool > usr/local/bin/tool
            chmod 755 usr/local/bin/tool
            echo site > opt/site/agent.conf
            echo '{"spec":{"config":{"storage":{"files":[{"path":"/opt/site/agent.conf"}]}}}}' \
                > etc/machine-config-daemon/currentconfig
            echo boot-1 > proc/sys/kernel/random/boot_id
            echo first > var/lib/etcd/member/snap/db
            # Valid since long before the node's own time, which is not this machine's.
            mkdir ../ca && : > ../ca/index && echo 01 > ../ca/serial
            printf '%s\\n' '[ca]' 'default_ca = c' '[c]' 'database = ../ca/index' 'serial = ../ca/serial' \
                'new_certs_dir = ../ca' 'default_md = sha256' 'policy = p' '[p]' 'organizationName = optional' \
                'commonName = supplied' > ../ca/conf
            openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
                -subj /O=system:nodes/CN=system:node:node-7.example \
                -keyout var/lib/kubelet/pki/client.key -out ../ca/request 2> /dev/null
            openssl ca -batch -selfsign -config ../ca/conf -keyfile var/lib/kubelet/pki/client.key -in ../ca/request \
                -startdate 20200101000000Z -enddate 20490101000000Z -notext \
                -out var/lib/kubelet/pki/kubelet-client-1.pem 2> /dev/null
            ln -s kubelet-client-1.pem var/lib/kubelet/pki/kubelet-client-current.pem
            """
        )
        switch profile {
        case .kubeadm:
            let options =
                "etcd, --name=node-7, --initial-advertise-peer-urls=https://127.0.0.1:2380, "
                + "--cert-file=/keys/server.crt, --data-dir=/var/lib/etcd, --listen-client-urls=http://127.0.0.1:2379"
            try Shell.output(
                """
                set -e
                cd '\(root)/etc/kubernetes' 2> /dev/null || { mkdir -p '\(root)/etc/kubernetes'; cd '\(root)/etc/kubernetes'; }
                mkdir -p manifests pki/etcd
                cat > manifests/etcd.yaml << 'END'
                \(pod("etcd", options))
                END
                sed -i 's/^                //' manifests/etcd.yaml
                printf '%s\\n' 'apiVersion: v1' 'kind: Pod' 'metadata: {name: kube-apiserver}' 'spec:' '  containers:' \
                    '  - name: kube-apiserver' '    image: "\(Self.image)"' \
                    '    command: [kube-apiserver, --tls-cert-file=/pki/apiserver.crt]' \
                    '    volumeMounts: [{name: pki, mountPath: /pki}]' '  volumes:' \
                    '  - {name: pki, hostPath: {path: /etc/kubernetes/pki}}' > manifests/kube-apiserver.yaml
                cp ../../var/lib/kubelet/pki/kubelet-client-1.pem pki/apiserver.crt
                cp ../../var/lib/kubelet/pki/kubelet-client-1.pem pki/etcd/server.crt
                """
            )
        case .openshift:
            try Shell.output(
                """
                set -e
                resources='\(root)/etc/kubernetes/static-pod-resources'
                mkdir -p "$resources/etcd-certs/configmaps/etcd-scripts" '\(root)/etc/kubernetes/manifests'
                printf '%s\\n' 'export ETCDCTL_ENDPOINTS="https://127.0.0.1:2379"' \
                    'export ETCDCTL_CACERT=/ca' 'export ETCDCTL_CERT=/cert' 'export ETCDCTL_KEY=/key' \
                    'export NODE_node_7_ETCD_NAME="node-7"' \
                    'export NODE_node_7_ETCD_URL_HOST="127.0.0.1"' 'export ETCD_DATA_DIR="/var/lib/etcd"' \
                    > "$resources/etcd-certs/configmaps/etcd-scripts/etcd.env"
                echo '{"kind":"Pod","apiVersion":"v1","metadata":{"name":"etcd"},"spec":{"containers":[{"name":"etcd",\
                "image":"\(Self.image)","volumeMounts":[{"name":"d","mountPath":"/var/lib/etcd"}]}],\
                "volumes":[{"name":"d","hostPath":{"path":"/var/lib/etcd"}},{"name":"r","hostPath":\
                {"path":"/etc/kubernetes/static-pod-resources/etcd-certs"}}]}}' > '\(root)/etc/kubernetes/manifests/etcd-pod.yaml'
                """
            )
        case .plain: break
        }
    }

    /// What a failed upgrade may leave.
    func breakNode() throws {
        try Shell.output(
            """
            set -e
            cd '\(root)'
            echo half > etc/hosts
            touch etc/left-by-the-upgrade
            rm usr/local/bin/tool
            chmod 600 opt/site/agent.conf
            echo spoilt > var/lib/kubelet/state
            echo failed > var/lib/etcd/member/snap/db
            rm -f etc/kubernetes/manifests/kube-apiserver.yaml
            """
        )
    }

    // MARK: Services

    private static let contents = SnapshotStatus(
        hash: 1,
        revision: 12,
        totalKeys: 3,
        totalPairs: 9,
        totalSizeBytes: 99_968,
        version: "",
        currentRevision: 12,
        alarms: []
    )

    private func script() {
        etcd.status = { _ in
            EtcdMemberStatus(
                serverVersion: "3.5.1",
                clusterID: 0xCAFE,
                memberID: 0xBEEF,
                revision: 12,
                databaseSizeBytes: 100_000,
                databaseInUseBytes: 10,
                alarms: [],
                errors: []
            )
        }
        etcd.snapshot = { _, sink in
            let content = [UInt8](repeating: 7, count: 100_000)
            try (content + SHA256Hasher.digest(of: content).bytes).withUnsafeBytes { try sink($0) }
        }
        etcd.inspect = { _ in SnapshotReport(faults: [], status: Self.contents) }
        etcd.restore = { [recorder] _, request in
            try recorder.record("restore etcd")
            let place = request.directory
            try Shell.output("mkdir -m 700 '\(place)' && mkdir -p '\(place)/member/snap' '\(place)/member/wal'")
            try recorder.record("restore etcd, half way")
            try Shell.output("echo restored > '\(place)/member/snap/db'")
            return EtcdRestoreResult(
                clusterID: 0xCAFE,
                memberID: 0xBEEF,
                revision: 1_000_000_012,
                databaseSizeBytes: 100_000,
                warnings: []
            )
        }
        containers.name = "crio 1.30"
        containers.present = [
            ContainerImage(id: "1", tags: [Self.image], digests: [], sizeBytes: 1, isPinned: false, usedBy: [])
        ]
        pods = Self.pods(recorder)
        let operators = ["etcd", "kube-apiserver"].map {
            ClusterOperatorState(name: $0, isAvailable: true, isProgressing: false, isDegraded: false, message: "")
        }
        cluster.change { script in
            script.readiness = { _ in
                NodeReadiness(isReady: true, reason: "KubeletReady", message: "", heartbeat: "2026-11-21T09:00:00Z")
            }
            script.operators = { operators }
        }
    }

    private static func pods(_ recorder: CallRecorder) -> ScriptedPods {
        ScriptedPods(
            [
                PodSandbox(id: "p-etcd", namespace: "kube-system", name: "etcd-node-7", isReady: true),
                PodSandbox(id: "p-dns", namespace: "kube-system", name: "dns", isReady: true),
            ],
            recorder: recorder
        )
    }

    /// The kubelet speaks up after any time.
    func heartbeatIsLate() {
        cluster.change { script in
            script.readiness = { _ in
                NodeReadiness(isReady: true, reason: "KubeletReady", message: "", heartbeat: "2999-01-01T00:00:00Z")
            }
        }
    }

    /// The failed etcd does not answer, the restored one does.
    func etcdIsDownUntilTheKubeletStarts() {
        let answer = etcd.status
        etcd.status = { [recorder] endpoint in
            guard recorder.calls.contains("start kubelet.service"), let answer else {
                throw InjectedFault(call: "connection refused")
            }
            return try answer(endpoint)
        }
    }

    /// The pods run again, as after a boot with the kubelet.
    func startPods() { pods = Self.pods(recorder) }

    func boot(_ id: String) throws { try Shell.output("echo '\(id)' > '\(root)/proc/sys/kernel/random/boot_id'") }

    var node: Node {
        FakeNode.make(
            root: root,
            etcd: etcd,
            deployments: deployments,
            containers: containers,
            pods: isRunning ? pods : nil,
            units: isRunning ? units : nil,
            cluster: isRunning ? cluster : nil,
            log: log,
            now: FileTime(seconds: now, nanoseconds: 0)
        )
    }

    // MARK: Recoveries

    func takePoint() async throws {
        var request = BackupRequest(directory: store, jobs: 2, toolVersion: "node-recovery test")
        request.allowsRootFileSystem = true
        request.profile = .fixed(profile)
        _ = try await BackupRun(request, on: node, meter: ProgressMeter()).create()
    }

    func request() -> RecoveryRequest {
        var request = RecoveryRequest(BackupRequest(directory: store, jobs: 2, toolVersion: "node-recovery test"))
        request.backup.allowsRootFileSystem = true
        request.waitLimit = .seconds(20)
        return request
    }

    func recovery(_ change: (inout RecoveryRequest) -> Void = { _ in }) -> Recovery {
        var request = request()
        change(&request)
        return Recovery(request, on: node, meter: ProgressMeter())
    }

    func begin(_ change: (inout RecoveryRequest) -> Void = { _ in }) async throws(RecoveryError) -> RecoveryEnding {
        let recovery = recovery(change)
        return try await retrying { () throws(RecoveryError) in try await recovery.begin() }
    }

    func resume(_ change: (inout RecoveryRequest) -> Void = { _ in }) async throws(RecoveryError) -> RecoveryEnding {
        let recovery = recovery(change)
        return try await retrying { () throws(RecoveryError) in try await recovery.resume() }
    }

    func restart(_ change: (inout RecoveryRequest) -> Void = { _ in }) async throws(RecoveryError) -> RecoveryEnding {
        let recovery = recovery(change)
        return try await retrying { () throws(RecoveryError) in try await recovery.restart() }
    }

    /// Another test that starts a program has our lock for the moment between fork and exec.
    private func retrying(
        _ body: () async throws(RecoveryError) -> RecoveryEnding
    ) async throws(RecoveryError) -> RecoveryEnding {
        for _ in 0..<200 {
            do throws(RecoveryError) {
                return try await body()
            } catch {
                guard case .other(StoreError.locked) = error else { throw error }
                usleep(5000)
            }
        }
        return try await body()
    }

    /// The node boots.
    func boot() throws { try boot("boot-\(UInt32.random(in: 0 ... .max))") }

    /// Goes on over reboots until the recovery is done.
    func goOn(from ending: RecoveryEnding) async throws {
        var ending = ending
        for _ in 2...5 {
            guard case .needsReboot = ending else { break }
            try boot()
            ending = try await resume()
        }
        #expect(ending == .completed)
    }

    func recover(_ change: (inout RecoveryRequest) -> Void = { _ in }) async throws {
        try await goOn(from: try await begin(change))
    }

    /// What the steps work with, on a journal that was begun or is there.
    func context(_ change: (inout RecoveryRequest) -> Void = { _ in }) throws -> RecoveryContext {
        var request = request()
        change(&request)
        let store = try RecoveryStore(path: self.store)
        var held: FileLock?
        for _ in 0..<200 where held == nil {
            held = try? store.lock(command: "test")
            if held == nil { usleep(5000) }
        }
        let lock = try held ?? store.lock(command: "test")
        let journal: StepJournal
        if let present = try StepJournal.open(in: self.store) {
            journal = present
        } else {
            journal = try StepJournal.begin(
                StepJournal.Header(
                    recovery: "00112233445566ff",
                    generation: try Recovery.point(of: request, in: store).generation,
                    manifestSHA256: try Recovery.point(of: request, in: store).manifestDigest.hex,
                    begunAt: "2026-11-21T02:37:05Z",
                    toolVersion: "test",
                    undoes: request.undoes,
                    skippedChecks: request.skippedChecks.sorted { $0.rawValue < $1.rawValue },
                    keptPaths: request.allKeptPaths.map(\.description),
                    keepsFailedState: request.keepsFailedState,
                    rebootsByItself: request.rebootsByItself
                ),
                in: self.store
            )
        }
        return try RecoveryContext(
            node: node,
            request: request,
            store: store,
            lock: lock,
            point: try store.point(journal.header.generation),
            journal: journal,
            meter: ProgressMeter()
        )
    }

    // MARK: Looking

    /// Every file of the node with all that belongs to it.
    /// - Parameter isEnd: leaves out what differs between two recoveries: the kernel, times of etcd's new directory,
    ///   and the identity in names.
    func tree(isEnd: Bool = false) throws -> String {
        let all = try Shell.output(
            """
            set -e
            cd '\(root)'
            find . -path ./proc/sys -prune -o -printf '%p %y %m %U:%G %n %T@ %s %l\\n' | LC_ALL=C sort
            find . -path ./proc/sys -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
            find . -path ./proc/sys -prune -o -print0 | LC_ALL=C sort -z \
                | xargs -0r getfattr -h -d -m - -e hex --absolute-names
            """
        )
        guard isEnd else { return all }
        return all.split(separator: "\n").compactMap { line -> String? in
            if line.hasPrefix("./var/lib/etcd") {
                let words = line.split(separator: " ", omittingEmptySubsequences: false)
                // owner, mode and kind count; the times are those of this recovery
                return (words.prefix(5) + words.suffix(2)).joined(separator: " ")
                    .replacing(/before-[0-9a-f]{16}/, with: "before-ID")
            }
            return String(line).replacing(/before-[0-9a-f]{16}/, with: "before-ID")
        }.joined(separator: "\n")
    }

    func read(_ path: String) throws -> String { try Shell.output("cat '\(root)/\(path)'").trimmed }

    func hasJournal() throws -> Bool { try RecoveryStore(path: store).hasRecoveryUnderWay() }

    /// Names of the store that are there only while a recovery is under way.
    func leftovers() throws -> String {
        try Shell.output("ls -A '\(store)' | grep -vxE 'points|latest|lock|status.json|journal.last' || true")
    }
}

extension String {
    var trimmed: String {
        var text = self[...]
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
