package import Files
import NodeInterface
import Reporting
import SystemPackage

/// What a node's static pod of etcd says about the server that runs on restored data.
package struct EtcdPodFacts: Equatable {
    /// The version that the image's tag names; `nil` for a tag that is no version and for a digest alone.
    package var serverVersion: String?
    /// Bytes that the database may have before the server refuses writes; `nil` without a limit.
    package var quotaBytes: Int64?

    /// Reads the first static pod with a container `etcd`; `nil` when there is none, or when the manifests cannot be read,
    /// which others report.
    package static func read(from files: any FileSource) -> EtcdPodFacts? {
        // ignored: what is not known is not compared
        guard let pods = try? StaticPods.all(in: files) else { return nil }
        guard let etcd = pods.flatMap(\.containers).first(where: { $0.name == "etcd" }) else { return nil }
        let options = CommandLineOptions.values(in: etcd.arguments(of: "etcd") ?? [])
        return EtcdPodFacts(
            serverVersion: EtcdVersionFit.serverVersion(ofImage: etcd.image ?? ""),
            quotaBytes: quota(options["quota-backend-bytes"] ?? etcd.environment["ETCD_QUOTA_BACKEND_BYTES"])
        )
    }

    /// etcd's own reading: 0 stands for 2 GiB, a negative number for no limit.
    ///
    /// Source: etcd `server/storage/quota.go`.
    static func quota(_ option: String?) -> Int64? {
        let bytes = option.flatMap { Int64($0) } ?? 0
        return bytes < 0 ? nil : bytes == 0 ? 2 << 30 : bytes
    }
}

extension EtcdPodFacts {
    /// What keeps the server from running well on data, as sentences for an operator.
    package struct Misfits: Equatable {
        /// It would not start, or would take no write.
        package var refusals: [String] = []
        /// It runs, but etcd does not support it, or soon takes no write.
        package var warnings: [String] = []

        /// Nothing.
        package init() {}
    }

    /// Compares the server with what is to be restored.
    package static func misfits(
        of facts: EtcdPodFacts?,
        storageVersion: String?,
        clusterVersion: String?,
        restoredSizeBytes: Int64
    ) -> Misfits {
        var misfits = Misfits()
        guard let facts else { return misfits }
        let fit = EtcdVersionFit(
            storageVersion: storageVersion ?? "",
            clusterVersion: clusterVersion ?? "",
            serverVersion: facts.serverVersion
        )
        switch fit.verdict {
        case .fits, .unknown: break
        case .unsupported: misfits.warnings.append(fit.text)
        case .refused: misfits.refusals.append(fit.text)
        }
        guard let quota = facts.quotaBytes else { return misfits }
        let text =
            "the restored database has \(ByteCount(restoredSizeBytes)), and etcd's --quota-backend-bytes is "
            + "\(ByteCount(quota))"
        if restoredSizeBytes >= quota {
            misfits.refusals.append(text + ": it would take no write")
        } else if restoredSizeBytes > quota / 10 * 9 {
            misfits.warnings.append(text)
        }
        return misfits
    }
}
