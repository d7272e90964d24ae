package import Files
import NodeInterface
package import SystemPackage
import YAML

/// What the kubelet's files say of its place on the node: unit, drop-ins, files of flags, its configuration.
package struct KubeletSettings {
    /// The files that were found; none on a node without a kubelet.
    package private(set) var sources: [FilePath] = []
    /// Flags by name, wherever they stand.
    package private(set) var flags: [String: String] = [:]
    /// The configuration file that counts.
    package private(set) var configurationFile: FilePath?
    /// `staticPodPath`, or the flag `--pod-manifest-path`.
    package private(set) var staticPodPath: FilePath?
    /// The serving certificate, where the configuration or a flag names one.
    package private(set) var certificates: [FilePath] = []

    /// Text with the kubelet's flags.
    private static let flagFiles: [FilePath] = [
        "/usr/lib/systemd/system/kubelet.service", "/lib/systemd/system/kubelet.service",
        "/etc/systemd/system/kubelet.service", "/etc/default/kubelet", "/etc/sysconfig/kubelet",
        "/etc/kubernetes/kubelet.env", "/var/lib/kubelet/kubeadm-flags.env",
    ]
    private static let dropIns: [FilePath] = [
        "/usr/lib/systemd/system/kubelet.service.d", "/etc/systemd/system/kubelet.service.d",
    ]
    /// kubeadm's, the machine config operator's, kubespray's, that of cloud images.
    private static let configurations: [FilePath] = [
        "/var/lib/kubelet/config.yaml", "/etc/kubernetes/kubelet.conf", "/etc/kubernetes/kubelet-config.yaml",
        "/etc/kubernetes/kubelet/kubelet-config.json",
    ]

    /// Reads them; what cannot be read is as if it were not there.
    package init(in files: any FileSource) throws {
        var texts = Self.flagFiles
        for directory in Self.dropIns where try files.exists(directory) {
            texts += try files.names(in: directory).filter { $0.extension == "conf" }.map { directory.appending($0) }
        }
        for file in texts {
            guard let bytes = Self.read(file, in: files) else { continue }
            sources.append(file)
            let words = String(decoding: bytes, as: UTF8.self).replacing("\\\n", with: " ")
                .split { " \t\n\"'".contains($0) }
                .map { word in word.firstRange(of: "--").map { String(word[$0.lowerBound...]) } ?? String(word) }
            flags.merge(CommandLineOptions.values(in: words[...])) { $1 }
        }
        let named = flags["config"].map { [FilePath($0)] } ?? []
        for file in named + Self.configurations {
            guard let bytes = Self.read(file, in: files),
                // ignored: what cannot be read is no configuration, and another file may be
                let document = try? YAMLNode(reading: bytes, name: file.string),
                document["kind"]?.string == "KubeletConfiguration"
            else { continue }
            sources.append(file)
            configurationFile = file
            staticPodPath = document["staticPodPath"]?.string.map { FilePath($0) }
            if let path = document["tlsCertFile"]?.string { certificates = [FilePath(path)] }
            break
        }
        if let flag = flags["pod-manifest-path"], flag.hasPrefix("/") { staticPodPath = FilePath(flag) }
        if let path = flags["tls-cert-file"] { certificates.append(FilePath(path)) }
    }

    private static func read(_ path: FilePath, in files: any FileSource) -> [UInt8]? {
        // ignored: as if it were not there
        guard (try? files.exists(path)) == true else { return nil }
        return try? files.readFile(path, limitBytes: 1 << 20)
    }

    /// Where static pods are looked for: where the kubelet is told to, and where distributions have them.
    var manifestDirectories: [FilePath] {
        let said = staticPodPath.map { [$0.lexicallyNormalized()] } ?? []
        let usual = WellKnownPaths.staticPodManifestDirectories
        return said + usual.filter { !said.contains($0) }
    }

    /// `--root-dir`, where it is not the usual one.
    package var unusualRoot: FilePath? {
        flags["root-dir"].map { FilePath($0).lexicallyNormalized() }.flatMap { $0 == "/var/lib/kubelet" ? nil : $0 }
    }
}
