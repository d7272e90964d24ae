public import NodeInterface
public import SystemPackage

/// The scripts below scripts/testbed, by absolute path.
public func testbed(_ script: String) -> String {
    "\(FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent())/scripts/testbed/\(script)"
}

/// A real etcd member on a loopback port, ended when the test lets go of it.
public final class RunningEtcd {
    /// Its directory, with the data directory `data` and `etcd.log`.
    public let directory: FilePath
    /// The client port.
    public let port: UInt16
    /// The process.
    public let pid: Int32

    private let url: String
    private let tools: String
    private let clientOptions: String
    private let certificates: FilePath?

    /// Starts one in `directory`.
    /// - Parameter tools: the directory of `etcd` and `etcdctl`; empty for Debian's.
    /// - Parameter certificates: a directory made by scripts/testbed/certificates, with the server that etcd is to be.
    /// - Parameter options: further options of etcd.
    public init(
        in directory: FilePath,
        tools: String = "",
        certificates: (directory: FilePath, server: String)? = nil,
        options: String = ""
    ) throws {
        self.directory = directory
        self.tools = tools.isEmpty ? "" : tools + "/"
        self.certificates = certificates?.directory
        let tls = certificates.map { "--tls \($0.directory) \($0.server)" } ?? ""
        let script = testbed("etcd-up")
        url = try Shell.output("\(script) \(directory) --binary \(self.tools)etcd \(tls) -- \(options)").trimmed
        pid = Int32(try Shell.output("cat \(directory)/etcd.pid").trimmed) ?? 0
        port = url.split(separator: ":").last.flatMap { UInt16($0) } ?? 0
        clientOptions =
            certificates.map {
                "--cacert \($0.directory)/ca.crt --cert \($0.directory)/client.crt --key \($0.directory)/client.key"
            }
            ?? ""
    }

    deinit {
        end()
    }

    /// Sends SIGTERM and waits until the process is gone.
    public func end() {
        // ignored: a leftover of a test is not the test's failure
        _ = try? Shell.run(
            "kill \(pid) 2>/dev/null; for i in $(seq 100); do kill -0 \(pid) 2>/dev/null || break; sleep 0.1; done"
        )
    }

    /// Runs `etcdctl` against it.
    @discardableResult
    public func etcdctl(_ arguments: String) throws -> String {
        // By name where the certificate has only names.
        let address = url.contains("https") ? "https://localhost:\(port)" : url
        let verify = url.contains("https") ? "--insecure-skip-tls-verify" : ""
        return try Shell.output(
            "\(tools)etcdctl --endpoints \(address) \(clientOptions) \(verify) \(arguments)",
            environment: ["ETCDCTL_API": "3"]
        ).trimmed
    }

    /// Its endpoint, as the product takes it.
    /// - Parameter host: another name for the loopback address.
    /// - Parameter authority: the name of a file of the certificates' directory, without `.crt`.
    /// - Parameter client: the same for the client's certificate.
    /// - Parameter key: the same for its key; the certificate's own when left out.
    public func endpoint(
        host: String = "127.0.0.1",
        authority: String = "ca",
        client: String = "client",
        key: String? = nil
    ) -> EtcdEndpoint {
        EtcdEndpoint(
            host: host,
            port: port,
            tls: certificates.map { directory in
                EtcdEndpoint.TLSFiles(
                    authority: directory.appending("\(authority).crt"),
                    certificate: directory.appending("\(client).crt"),
                    key: directory.appending("\(key ?? client).key")
                )
            }
        )
    }
}

extension String {
    /// Without the white space at both ends.
    public var trimmed: String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
}

/// A version of etcd that is on the machine of the tests.
public enum EtcdVersion: String, CaseIterable, Sendable, CustomStringConvertible {
    /// Debian's.
    case v34 = "3.4"
    /// That of scripts/testbed/etcd-pypi.
    case v35 = "3.5"

    /// `3.4`, as test cases show it.
    public var description: String { rawValue }

    /// The directory of its programs; empty for Debian's.
    public func tools() throws -> String {
        self == .v34 ? "" : try Shell.output(testbed("etcd-pypi")).trimmed
    }
}
