import Files
import NodeInterface
import SystemPackage
import TestSupport
import Testing

@testable import Backup

@Suite("What the static pod of etcd says about its server") struct EtcdPodFactsTests {
    private func facts(_ command: String, image: String = "registry.k8s.io/etcd:3.5.15-0") throws -> EtcdPodFacts? {
        let directory = try TemporaryDirectory()
        let manifests = "\(directory.path)/etc/kubernetes/manifests"
        try Shell.output(
            """
            mkdir -p '\(manifests)' && cat >'\(manifests)/etcd.yaml' <<'END'
            apiVersion: v1
            kind: Pod
            metadata: {name: etcd}
            spec:
              containers:
              - {name: etcd, image: "\(image)", command: [etcd, --name=one, \(command)]}
            END
            """
        )
        return EtcdPodFacts.read(from: try RootDirectory(path: directory.path))
    }

    @Test("is its version, by the tag of the image, and its quota, with etcd's own default")
    func read() throws {
        #expect(try facts("--x=y") == EtcdPodFacts(serverVersion: "3.5.15", quotaBytes: 2 << 30))
        #expect(try facts("--quota-backend-bytes=8589934592")?.quotaBytes == 8 << 30)
        #expect(try facts("--quota-backend-bytes=0")?.quotaBytes == 2 << 30)
        #expect(try facts("--quota-backend-bytes=-1")?.quotaBytes == nil)
        #expect(try facts("--x=y", image: "registry.example/etcd:1")?.serverVersion == nil)
        let empty = try TemporaryDirectory()
        #expect(EtcdPodFacts.read(from: try RootDirectory(path: empty.path)) == nil)
    }

    @Test("refuses data that the server would not start on and a database that its quota has no room for")
    func misfits() {
        func misfits(_ version: String?, _ quota: Int64?, _ storage: String, _ size: Int64) -> EtcdPodFacts.Misfits {
            EtcdPodFacts.misfits(
                of: EtcdPodFacts(serverVersion: version, quotaBytes: quota),
                storageVersion: storage,
                clusterVersion: "3.5.0",
                restoredSizeBytes: size
            )
        }
        #expect(misfits("3.6.1", nil, "3.7.0", 1).refusals.count == 1)
        #expect(misfits("3.5.1", nil, "3.6.0", 1).warnings.count == 1)
        #expect(misfits("3.6.1", 100, "3.6.0", 80) == EtcdPodFacts.Misfits())
        #expect(misfits("3.6.1", 100, "3.6.0", 95).warnings.count == 1)
        #expect(misfits(nil, 100, "3.6.0", 100).refusals.count == 1)
        #expect(
            EtcdPodFacts.misfits(of: nil, storageVersion: "3.7.0", clusterVersion: nil, restoredSizeBytes: .max)
                == EtcdPodFacts.Misfits()
        )
    }
}
