import Files
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Backup

@Suite("Static pods") struct StaticPodsTests {
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        try Shell.output("mkdir -p '\(directory / "etc/kubernetes/manifests")'")
    }

    private func put(_ name: String, _ text: String) throws {
        try Shell.output("cat > '\(directory / "etc/kubernetes/manifests/\(name)")' <<'END'\n\(text)\nEND")
    }

    private func subtrees() throws -> [String] {
        try StaticPods.subtrees(in: RootDirectory(path: directory.path)).map(\.string)
    }

    @Test("are their manifests and what they mount below /etc/kubernetes, each once") func resources() throws {
        try put(
            "kube-apiserver.yaml",
            """
            apiVersion: v1
            kind: Pod
            spec:
              containers: [{name: kube-apiserver, image: x}]
              volumes:
              - {name: certs, hostPath: {path: /etc/kubernetes/pki}}
              - {name: etcd, hostPath: {path: /etc/kubernetes/pki/etcd/, type: Directory}}
              - {name: system, hostPath: {path: /etc/ssl/certs}}
              - {name: data, hostPath: {path: /var/lib/etcd}}
              - {name: scratch, emptyDir: {}}
            """
        )
        try put(
            "etcd-pod.json",
            #"{"kind":"Pod","spec":{"volumes":[{"name":"r","hostPath":{"path":"/etc/kubernetes/static-pod-resources/etcd-pod-7"}}]}}"#
        )
        try put(".hidden.yaml", "not: [yaml")
        try put("README", "not a manifest")
        #expect(
            try subtrees() == [
                "/etc/kubernetes/manifests", "/etc/kubernetes/pki",
                "/etc/kubernetes/static-pod-resources/etcd-pod-7",
            ]
        )
    }

    @Test("are none where there is no manifest") func none() throws {
        #expect(try subtrees().isEmpty)
        try Shell.output("rmdir '\(directory / "etc/kubernetes/manifests")'")
        #expect(try subtrees().isEmpty)
    }

    @Test("that cannot be read are named with the place") func broken() throws {
        try put("etcd.yaml", "kind: Pod\nspec: [")
        #expect {
            try subtrees()
        } throws: { error in
            "\(error)".contains("/etc/kubernetes/manifests/etcd.yaml")
                && (error as? BackupError)?.exitStatus == .dataError
        }
    }
}

@Suite("A machine config") struct MachineConfigTests {
    @Test("names files, directories and links, each path once, but for those in other trees") func paths() throws {
        let text = #"""
            {"kind":"MachineConfig","spec":{"kernelType":"default","config":{"ignition":{"version":"3.4.0"},"storage":{
            "files":[{"path":"/etc/hosts"},{"path":"/opt/a","contents":{"source":"data:,x"}},{"path":"/usr/local/b"},
            {"path":"/var/lib/kubelet/config.json"},{"path":"/var/lib/kubeletx/y"},{"path":"/opt/a"}],
            "directories":[{"path":"/opt/d"}],"links":[{"path":"/opt/l","target":"a"}]}}}}
            """#
        let config = try MachineConfig.decode(Array(text.utf8), file: "currentconfig")
        #expect(
            config.paths(outside: ["etc", "usr/local", "var/lib/kubelet"])
                == ["opt/a", "opt/d", "opt/l", "var/lib/kubeletx/y"]
        )
    }

    @Test("may have no storage, and is refused when it is no JSON") func degenerate() throws {
        #expect(try MachineConfig.decode(Array("{}".utf8), file: "c").paths.isEmpty)
        #expect(throws: BackupError.self) { try MachineConfig.decode(Array("{".utf8), file: "c") }
    }
}
