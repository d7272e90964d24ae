import Backup
import Certificates
import Files
import FoundationEssentials
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage
import YAML

/// The certificates without which the control plane of a node cannot run: those that its static pods, its kubeconfigs
/// and its kubelet name, wherever they are, and none that nothing uses.
///
/// Authorities are not among them: they outlive what they sign, and a bundle may keep old ones.
enum RecoveryCertificates {
    /// Where a certificate stands.
    struct Place: Hashable {
        /// A PEM file, or the kubeconfig that has it embedded; a path of the node.
        var path: FilePath
        /// The user of the kubeconfig; `nil` for a PEM file.
        var user: String?
    }

    /// The places, each once, in the order of kubelet, static pods, kubeconfigs.
    ///
    /// - Parameter files: the node's, or those of a recovery point.
    static func places(in files: any FileSource) throws -> [Place] {
        var places: [Place] = []
        func add(_ found: [Place]) { places += found.filter { !places.contains($0) } }
        add([WellKnownPaths.kubeletCertificate, WellKnownPaths.kubeletServingCertificate].map { Place(path: $0) })
        let kubelet = try KubeletSettings(in: files)
        add(kubelet.certificates.map { Place(path: $0) })
        var kubeconfigs = WellKnownPaths.kubeletKubeconfigs + WellKnownPaths.adminKubeconfigs
        if let named = kubelet.flags["kubeconfig"] { kubeconfigs.append(FilePath(named)) }
        for pod in try StaticPods.all(in: files) {
            for (option, path) in pod.namedFiles {
                switch Use(option: option) {
                case .certificate: add([Place(path: path)])
                case .kubeconfig: kubeconfigs.append(path)
                case .other: break
                }
            }
            // openshift: the operator's pods name what they use in files of their own; each revision has a directory.
            for top in pod.hostPaths where top.starts(with: WellKnownPaths.staticPodResources) {
                if try files.exists(top) { add(try revision(top, in: files, depth: 0).map { Place(path: $0) }) }
            }
        }
        for path in kubeconfigs where try files.exists(path) {
            add(embedded(in: path, files))
        }
        return places
    }

    /// What an option of a static pod names.
    private enum Use {
        case certificate, kubeconfig, other

        /// `--tls-cert-file`, `--etcd-certfile`, `--kubelet-client-certificate`, `--kubeconfig`; the certificate that
        /// `--cluster-signing-cert-file` names is an authority's.
        init(option: String) {
            let isCertificate = ["cert-file", "certfile", "client-certificate"].contains { option.hasSuffix($0) }
            self =
                option.hasSuffix("kubeconfig")
                ? .kubeconfig : isCertificate && !option.hasPrefix("cluster-signing") ? .certificate : .other
        }
    }

    private static func revision(_ directory: FilePath, in files: any FileSource, depth: Int) throws -> [FilePath] {
        guard try files.kind(of: directory) == .directory else { return [] }
        var found: [FilePath] = []
        for name in try files.names(in: directory) {
            let path = directory.appending(name)
            let kind = try files.kind(of: path)
            if kind == .directory, depth < 8 {
                found += try revision(path, in: files, depth: depth + 1)
            } else if kind == .regular, name.extension == "crt", !name.string.hasPrefix("ca") {
                found.append(path)
            }
        }
        return found
    }

    /// The client certificates of a kubeconfig: files that it names, and those that it has in itself.
    private static func embedded(in path: FilePath, _ files: any FileSource) -> [Place] {
        // ignored: what cannot be read as a kubeconfig names nothing
        guard let bytes = try? files.readFile(path, limitBytes: 1 << 20),
            let document = try? YAMLNode(reading: bytes, name: path.string)
        else { return [] }
        return (document["users"]?.items ?? []).compactMap { entry in
            if let name = entry["user"]?["client-certificate"]?.string {
                return Place(path: path.removingLastComponent().pushing(FilePath(name)).lexicallyNormalized())
            }
            guard entry["user"]?["client-certificate-data"] != nil else { return nil }
            return Place(path: path, user: entry["name"]?.string ?? "")
        }
    }

    /// The PEM text of a certificate that a kubeconfig has in itself.
    static func embeddedPEM(of user: String, in bytes: [UInt8], name: String) -> [UInt8] {
        // ignored: as above
        guard let document = try? YAMLNode(reading: bytes, name: name) else { return [] }
        let entry = (document["users"]?.items ?? []).first { ($0["name"]?.string ?? "") == user }
        guard let text = entry?["user"]?["client-certificate-data"]?.string, let data = Data(base64Encoded: text) else {
            return []
        }
        return Array(data)
    }
}

/// A certificate that something of the node proves itself by, where it is on the node.
struct DatedCertificate {
    var path: FilePath
    var commonName: String
    /// Seconds since 1970-01-01 UTC.
    var notBefore: Int64
    /// Seconds since 1970-01-01 UTC.
    var notAfter: Int64

    /// `'/etc/kubernetes/pki/apiserver.crt' (kube-apiserver) on 2027-01-31 12:00:00 UTC`: the end of its validity.
    var text: String { "'\(path)' (\(commonName)) on \(Certificate.text(of: notAfter))" }

    /// The same with the beginning.
    var textOfStart: String { "'\(path)' (\(commonName)) from \(Certificate.text(of: notBefore))" }

    /// The first certificate of each place, those behind it are its authorities'.
    static func all(in files: any FileSource) throws -> [DatedCertificate] {
        var found: [DatedCertificate] = []
        for place in try RecoveryCertificates.places(in: files) where try files.exists(place.path) {
            guard try files.kind(of: place.path) != .directory else { continue }
            var bytes: [UInt8]
            do throws(FilesError) {
                bytes = try files.readFile(place.path, limitBytes: 1 << 20)
            } catch {
                continue  // ignored: a certificate that cannot be read has no dates
            }
            if let user = place.user {
                bytes = RecoveryCertificates.embeddedPEM(of: user, in: bytes, name: place.path.string)
            }
            guard let first = Certificate.all(inPEM: bytes).first else { continue }
            found.append(
                DatedCertificate(
                    path: place.path,
                    commonName: first.commonName,
                    notBefore: first.notBefore,
                    notAfter: first.notAfter
                )
            )
        }
        return found
    }
}

/// Certificates that are not valid yet, which is the clock's fault: nobody issues certificates for the future.
struct CertificatesFromTheFuture: OperatorError, Equatable {
    /// One of them, and since when it is valid.
    var example: String
    /// How many there are.
    var count: Int
    /// What the clock says.
    var now: String

    /// - Returns: `nil` when all of them are valid already.
    init?(_ certificates: [DatedCertificate], now: FileTime) {
        let early = certificates.filter { $0.notBefore > now.seconds }
        guard let first = early.max(by: { $0.notBefore < $1.notBefore }) else { return nil }
        example = first.textOfStart
        count = early.count
        self.now = now.iso8601
    }

    var summary: String {
        let what = count == 1 ? "1 certificate is not valid yet" : "\(count) certificates are not valid yet"
        return "the clock says \(now), which is before the node's certificates: \(what), the latest is \(example)"
    }

    var hint: String? { "set the clock ('timedatectl', 'chronyc makestep' or 'date -s'), then run it again" }

    var exitStatus: ExitStatus { .unavailable }
}
