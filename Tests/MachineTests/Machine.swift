import Glibc
import SystemPackage
import TestSupport
import Testing

/// A real node in a machine of its own (scripts/testbed/node-machine): ostree, systemd, containerd, kubelet, and etcd with
/// the control plane as static pods.
final class Machine {
    enum Kind: String {
        /// Booted from an ostree deployment.
        case ostree = "create"
        /// One writable root directory, as kubeadm finds it on an ordinary system.
        case plain = "create-plain"
        /// As ``ostree``, with files where OpenShift has them, and its operators of static pods.
        case openshift = "create-openshift"

        /// The cluster administrator's.
        var kubeconfig: FilePath {
            switch self {
            case .ostree, .plain: "/etc/kubernetes/admin.conf"
            case .openshift:
                "/etc/kubernetes/static-pod-resources/kube-apiserver-certs/secrets/node-kubeconfigs/localhost.kubeconfig"
            }
        }

        /// Options by which `etcdctl` proves itself to the node's etcd.
        var etcdctlOptions: String {
            switch self {
            case .ostree, .plain:
                let pki = "/etc/kubernetes/pki/etcd"
                return "--cacert \(pki)/ca.crt --cert \(pki)/server.crt --key \(pki)/server.key"
            case .openshift:
                let certificates = "/etc/kubernetes/static-pod-resources/etcd-certs"
                let pair = "\(certificates)/secrets/etcd-all-certs/etcd-peer-sno"
                return "--cacert \(certificates)/configmaps/etcd-all-bundles/server-ca-bundle.crt "
                    + "--cert \(pair).crt --key \(pair).key"
            }
        }
    }

    let directory: FilePath
    let kind: Kind
    private let scratch: TemporaryDirectory
    private let script = testbed("node-machine")

    /// Makes one and boots it; the program under test is in it by its names.
    init(_ kind: Kind = .ostree) throws {
        self.kind = kind
        scratch = try TemporaryDirectory()
        directory = scratch / "machine"
        let program = try Tool(in: scratch).program
        try Shell.output("'\(script)' \(kind.rawValue) '\(directory)' '\(program)'")
        try up()
    }

    deinit {
        // ignored: a leftover of a test is not the test's failure
        _ = try? Shell.run("'\(script)' down '\(directory)'")
    }

    struct Result: CustomStringConvertible {
        var status: Int32
        var output: String
        var description: String { "status \(status)\n\(output)" }
    }

    /// Runs a command of the machine's shell, as its root and the cluster's administrator.
    func run(_ command: String, limitSeconds: Int = 120) throws -> Result {
        let quoted = command.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
        let text = try Shell.output(
            """
            timeout \(limitSeconds) '\(script)' exec '\(directory)' \
                env KUBECONFIG=\(kind.kubeconfig) sh -c '\(quoted)' 2>&1; echo "status=$?"
            """
        )
        let mark = try #require(text.lastIndex(of: "="))
        let status = try #require(Int32(text[text.index(after: mark)...].drop { $0 == " " }.prefix { $0.isNumber }))
        return Result(status: status, output: String(text[..<mark].dropLast("status".count)))
    }

    /// The output of a command that ends with 0.
    @discardableResult
    func output(_ command: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
        let result = try run(command)
        try #require(result.status == 0, "\(command): \(result)", sourceLocation: sourceLocation)
        return result.output.trimmed
    }

    /// Lets the node have programs of this machine, in `/run/testbed/tools`.
    func bring(_ tools: String...) throws {
        try Shell.output("'\(script)' bring '\(directory)' \(tools.joined(separator: " "))")
    }

    /// Lets the node have a file of this machine, as `/run/testbed/NAME`.
    func bring(file: FilePath, as name: String) throws {
        try Shell.output("cp '\(file)' '\(directory)/bin/\(name)'")
    }

    func up() throws { try Shell.output("'\(script)' up '\(directory)'") }

    /// Cuts the power, and switches it on again.
    func cutPower() throws {
        try Shell.output("'\(script)' cut '\(directory)'")
        try up()
    }

    /// What cuts the power within a millisecond: no shell is started for it.
    struct PowerSwitch {
        fileprivate let journalPath: FilePath
        fileprivate let initProcess: pid_t

        /// The step journal as it is now; empty while there is none.
        func journal() throws -> String {
            guard let file = try? FileDescriptor.open(journalPath, .readOnly) else { return "" }
            defer { try? file.close() }
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0) }
            return String(decoding: bytes[..<count], as: UTF8.self)
        }

        func cut() { kill(initProcess, SIGKILL) }
    }

    /// The switch for the boot that runs now.
    func powerSwitch() throws -> PowerSwitch {
        let text = try Shell.output("'\(script)' wait '\(directory)' && cat '\(directory)/init'")
        return PowerSwitch(
            journalPath: directory.appending("recovery/journal"),
            initProcess: try #require(pid_t(text.trimmed))
        )
    }

    /// Reboots in an orderly way.
    func reboot() throws {
        let before = try bootID()
        _ = try run("systemctl reboot")
        try waitForBoot(otherThan: before)
    }

    func bootID() throws -> String { try output("cat /proc/sys/kernel/random/boot_id") }

    /// Waits until the machine runs another boot than this one.
    func waitForBoot(otherThan before: String) throws {
        for _ in 0..<120 {
            let look = try run("cat /proc/sys/kernel/random/boot_id", limitSeconds: 20)
            if look.status == 0, look.output.trimmed != before { return }
            waitWhileItBoots()
        }
        Issue.record("the machine has not rebooted")
    }

    /// Half a second, and what a boot that is under way takes.
    func waitWhileItBoots() {
        usleep(500_000)
        // ignored: whoever waits looks at the machine itself
        _ = try? Shell.run("'\(script)' wait '\(directory)' 2>/dev/null")
    }

    /// Waits until the cluster says that the node is ready and answers questions.
    func waitUntilReady() throws {
        let command = """
            for i in $(seq 120); do
                kubectl get node sno -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null \
                    | grep -q True && kubectl get --raw /readyz > /dev/null 2>&1 && exit 0
                sleep 1
            done
            exit 1
            """
        try #require(try run(command, limitSeconds: 150).status == 0, "the node did not become ready")
    }

    /// How many boots there were, and the deployment of the last one.
    func boots() throws -> [String] {
        try Shell.output("cat '\(directory)/boots'").split(separator: "\n").map { String($0) }
    }

    /// The step journal as it lies on the recovery partition; empty while there is none.
    func journal() throws -> String { try Shell.output("cat '\(directory)/recovery/journal' 2>/dev/null || true") }

    /// Every file that a recovery answers for with its content and metadata, but for the times of directories, which
    /// the running system changes, and for what OpenShift's operators roll out anew.
    func files() throws -> String {
        let rolledOut = "etc/kubernetes/(manifests/|static-pod-resources/[a-z-]+-pod-[2-9])"
        return try output(
            """
            cd / && {
                find etc usr/local/ ! -type d -printf '%p %y %m %n %U:%G %T@ %l\\n' | sort
                find etc usr/local/ -type d -printf '%p %y %m %U:%G\\n' | sort
                find etc usr/local/ -type f -print0 | sort -z | xargs -0 sha256sum
            } | \(kind == .openshift ? "grep -vE '\(rolledOut)'" : "cat")
            """
        )
    }

    /// What journald has by matches of `journalctl`, an object of fields each.
    func entries(_ matches: String) throws -> [JSON] {
        try output("journalctl -o json --no-pager \(matches) 2> /dev/null").split(separator: "\n").map {
            try JSON(parsing: String($0))
        }
    }

    /// The objects that the tests make.
    func objects() throws -> String {
        try output(
            """
            kubectl get configmaps,pods -n default \
                -o 'jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid} {.data}{"\\n"}{end}'
            """
        )
    }
}
