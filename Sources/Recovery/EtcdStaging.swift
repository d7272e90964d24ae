import Archives
import Backup
import Files
import Logging
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

extension RecoveryContext {
    /// Who the etcd member of the recovery point is.
    func etcdMember() throws -> EtcdMember {
        try proof.etcdMember(in: pointFiles())
    }

    /// Where etcd's data is.
    func etcdPlacement() throws -> EtcdPlacement {
        try EtcdPlacement(try etcdMember(), in: root, recovery: identity)
    }

    /// The same, for the undo: static pods of a failed state can be missing or of no use.
    ///
    /// Then those on the node count, else it is the usual place.
    func etcdPlacementForUndo() throws -> EtcdPlacement {
        var member = EtcdMember(name: "", peerURLs: [], dataDirectory: WellKnownPaths.etcdData)
        do {
            member = try etcdMember()
        } catch {
            node.log.debug("the failed state does not say where etcd's data is: \(error)")
            do {
                member = try EtcdMember.read(from: root, profile: point.profile, nodeName: point.manifest.node.name)
            } catch {
                node.log.debug("the node does not either: \(error)")
            }
        }
        return try EtcdPlacement(member, in: root, recovery: identity)
    }

    /// Runs `body` while an etcd that systemd runs is stopped, and starts it afterwards; a static pod is stopped with all
    /// pods.
    func whileEtcdIsStopped(_ body: () throws -> Void) throws {
        guard let unit = try etcdMember().unit, let units = node.units, try units.state(of: unit).exists else {
            return try body()
        }
        try units.stop(unit, limit: request.stopLimit)
        try body()
        try units.start(unit, limit: request.stopLimit * 2)
    }

    /// Restores the snapshot beside etcd's data, whole and on the disk, and changes nothing of that.
    func stageEtcd(_ component: ComponentEntry) throws -> StepOutcome {
        guard let stored = component.file(.snapshot) else {
            throw RecoveryError.memberUnknown("its component 'etcd' has no snapshot")
        }
        let member = try etcdMember()
        let placement = try EtcdPlacement(member, in: root, recovery: identity)
        try placement.refuseUnlessReplaceable()
        if !skips(.members) { try Proof.refuseSeveralMembers(point.manifest.etcd?.members?.map(\.name) ?? []) }
        return try placement.keepingTime { try stage(stored, component, member, placement) }
    }

    private func stage(
        _ stored: StoredFile,
        _ component: ComponentEntry,
        _ member: EtcdMember,
        _ placement: EtcdPlacement
    ) throws -> StepOutcome {
        let snapshot = point.path(of: stored)
        meter.begin(ComponentName.etcd.rawValue, activity: "restoring", totalBytes: component.sourceBytes)
        try placement.clear()
        let unpacked = try UnnamedFile(in: placement.scratch)
        let reader = try FrameReader(path: snapshot, jobs: request.jobs, cancellation: node.cancellation)
        let limit = point.manifest.etcd?.snapshotBytes ?? component.sourceBytes
        var length: Int64 = 0
        while let piece = try reader.next() {
            length += Int64(piece.count)
            guard length <= limit else {
                throw RecoveryError.pointDamaged(
                    generation: point.generation,
                    faults: ["the etcd snapshot unpacks to more than the \(limit) bytes that the manifest lists"]
                )
            }
            try unpacked.write(piece)
            meter.advance(bytes: Int64(piece.count))
        }
        let result = try node.etcd.restoreSnapshot(
            unpacked.descriptor,
            EtcdRestoreRequest(
                snapshotName: snapshot.string,
                directory: placement.building,
                memberName: member.name,
                peerURLs: member.peerURLs,
                clusterToken: "node-recovery-\(identity)",
                bumpRevision: request.bumpRevision,
                revisionFloor: highestRevisionSeen(placement),
                forcesNewCluster: skips(.members)
            ),
            cancellation: node.cancellation
        )
        try placement.stage()
        let needed = result.databaseSizeBytes
        if !skips(.etcd), let quota = EtcdPodFacts.read(from: try pointFiles().staticPods ?? root)?.quotaBytes,
            needed >= quota
        {
            try placement.removeStaged()
            throw RecoveryError.etcdUnfit([
                "the restored database has \(ByteCount(needed)), and etcd's --quota-backend-bytes is "
                    + "\(ByteCount(quota)): it would take no write"
            ])
        }
        for warning in result.warnings { node.log.warning("etcd: \(warning), continuing") }
        var values = JournalValues(JournalKeys.etcdCluster, HexadecimalNumber(result.clusterID))
        values[JournalKeys.etcdRevision] = Int(result.revision)
        return .done(
            "restored beside its data: member '\(member.name)', revision \(result.revision), "
                + "\(ByteCount(result.databaseSizeBytes))",
            values: values
        )
    }

    /// The highest revision that a client of this node can have seen: of the member while it answers, of the databases
    /// in its data directory, the failed one and those that earlier recoveries kept; without any, of what this recovery
    /// has restored before.
    ///
    /// 0 when none is known.
    private func highestRevisionSeen(_ placement: EtcdPlacement) -> Int64 {
        var revisions = placement.databases().compactMap { path -> Int64? in
            do {
                let file = try OwnedDescriptor(reading: path)
                return try node.etcd.databaseRevision(file.descriptor)
            } catch {
                node.log.debug("the revision of '\(path)' is not known: \(error)")
                return nil
            }
        }
        do {
            if let endpoint = try proof.etcdEndpoint() {
                revisions.append(try node.etcd.status(of: endpoint, limit: .seconds(5)).revision)
            }
        } catch {
            node.log.debug("etcd's revision is not known: \(error)")
        }
        // Of a database that cannot be read, the journal knows what it started from.
        if revisions.isEmpty, let restored = journal.value(JournalKeys.etcdRevision) {
            revisions.append(Int64(restored))
        }
        // A damaged database can say anything: what no cluster reaches is not believed.
        return revisions.filter { $0 > 0 && $0 < 1 << 56 }.max() ?? 0
    }
}
