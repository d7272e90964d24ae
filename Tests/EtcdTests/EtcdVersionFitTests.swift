import NodeInterface
import Testing

@Suite("An etcd server and the data that it is to run on") struct EtcdVersionFitTests {
    static let cases: [(storage: String, cluster: String, server: String?, EtcdVersionFit.Verdict)] = [
        ("", "3.5.0", "3.5.21", .fits), ("", "3.4.0", "3.5.1", .fits), ("", "3.4.0", "3.6", .fits),
        ("3.6.0", "3.6.0", "3.6.4", .fits), ("3.6.0", "3.7.0", "3.7.1", .fits), ("", "", "3.5.0", .unknown),
        ("3.6.0", "3.6.0", nil, .unknown), ("3.6.0", "3.6.0", "latest", .unknown),
        // Before 3.6 a server starts on anything; from 3.6 on it looks.
        ("3.6.0", "3.6.0", "3.5.15", .unsupported), ("", "3.5.0", "3.4.23", .unsupported),
        ("3.7.0", "3.7.0", "3.6.14", .refused), ("3.6.0", "3.7.0", "3.6.14", .refused),
    ]

    @Test("fit, start without support, or do not start", arguments: cases)
    func verdict(storage: String, cluster: String, server: String?, verdict: EtcdVersionFit.Verdict) {
        let fit = EtcdVersionFit(storageVersion: storage, clusterVersion: cluster, serverVersion: server)
        #expect(fit.verdict == verdict)
        #expect(fit.text.isEmpty == (verdict == .fits || verdict == .unknown))
    }

    @Test("are told what etcd itself would say")
    func text() {
        #expect(
            EtcdVersionFit(storageVersion: "3.7.0", clusterVersion: "3.7.0", serverVersion: "3.6.1").text
                == "etcd 3.6.1 does not start on data of etcd 3.7.0: it ends with 'version \"3.7.0\" is not supported'"
        )
        #expect(
            EtcdVersionFit(storageVersion: "", clusterVersion: "3.7.0", serverVersion: "3.6.1").refusal
                == "invalid downgrade; server version is lower than determined cluster version"
        )
        #expect(
            EtcdVersionFit(storageVersion: "3.6.0", clusterVersion: "3.6.0", serverVersion: "3.5.1").text
                == "etcd 3.5.1 is older than the data of etcd 3.6.0: it starts, but etcd does not support it"
        )
    }

    @Test(
        "have the version of the image's tag",
        arguments: [
            ("registry.k8s.io/etcd:3.5.15-0", "3.5.15"), ("etcd:v3.6.4", "3.6.4"), ("localhost:5000/etcd:3.5", "3.5"),
            ("quay.io/coreos/etcd:v3.5.9@sha256:00ff", "3.5.9"), ("localhost:5000/etcd", nil), ("etcd:latest", nil),
            ("registry.example/etcd:1", nil), ("etcd@sha256:00ff", nil), ("", nil), ("etcd:3..1", nil),
        ] as [(String, String?)]
    )
    func image(image: String, version: String?) {
        #expect(EtcdVersionFit.serverVersion(ofImage: image) == version)
    }

    @Test("were written by 3.6 when the storage, the cluster or a downgrade says so")
    func release() {
        func status(_ version: String, _ cluster: String, _ target: String?) -> SnapshotStatus {
            SnapshotStatus(
                hash: 0,
                revision: 1,
                totalKeys: 1,
                totalPairs: 2,
                totalSizeBytes: 3,
                version: version,
                currentRevision: 1,
                alarms: [],
                clusterVersion: cluster,
                downgradeTarget: target
            )
        }
        #expect(status("3.6.0", "3.6.0", nil).isOfRelease36)
        #expect(status("", "3.5.0", "3.5.0").isOfRelease36)
        #expect(status("", "3.6.0", nil).isOfRelease36)
        #expect(!status("", "3.5.0", nil).isOfRelease36)
        #expect(!status("", "3.5.0", "3.4.0").isOfRelease36)
    }
}
