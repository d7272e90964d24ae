internal import NodeInterface

/// A list of objects.
struct ObjectList<Item: Decodable>: Decodable {
    var items: [Item]
}

/// A condition, of which most objects have some.
struct ObjectCondition: Decodable {
    var type: String
    /// `True`, `False` or `Unknown`.
    var status: String
    var reason: String?
    var message: String?
    var lastHeartbeatTime: String?
}

/// An object that has conditions and a name.
struct ObjectWithConditions: Decodable {
    struct Metadata: Decodable {
        var name: String
    }
    struct Status: Decodable {
        var conditions: [ObjectCondition]?
    }

    var metadata: Metadata
    var status: Status?

    func condition(_ type: String) -> ObjectCondition? {
        status?.conditions?.first { $0.type == type }
    }

    /// As a node: what its condition `Ready` says.
    var readiness: NodeReadiness {
        guard let ready = condition("Ready") else {
            return NodeReadiness(
                isReady: false,
                reason: "NoCondition",
                message: "its kubelet has not reported yet",
                heartbeat: ""
            )
        }
        return NodeReadiness(
            isReady: ready.status == "True",
            reason: ready.reason ?? "",
            message: ready.message ?? "",
            heartbeat: ready.lastHeartbeatTime ?? ""
        )
    }

    /// As a cluster operator.
    var operatorState: ClusterOperatorState {
        func isTrue(_ type: String) -> Bool { condition(type)?.status == "True" }
        let available = isTrue("Available")
        let progressing = isTrue("Progressing")
        let degraded = isTrue("Degraded")
        let telling = degraded ? "Degraded" : !available ? "Available" : progressing ? "Progressing" : nil
        return ClusterOperatorState(
            name: metadata.name,
            isAvailable: available,
            isProgressing: progressing,
            isDegraded: degraded,
            message: telling.flatMap { condition($0)?.message } ?? ""
        )
    }
}

/// The one object, `cluster`, by which an operator of openshift is told about its static pods and tells of them.
struct StaticPodOperator: Decodable {
    struct Spec: Decodable {
        var forceRedeploymentReason: String?
    }
    struct NodeStatus: Decodable {
        /// 0 or absent until something was installed.
        var currentRevision: Int?
    }
    struct Status: Decodable {
        var latestAvailableRevision: Int?
        var nodeStatuses: [NodeStatus]?
        var conditions: [ObjectCondition]?
    }

    var spec: Spec?
    var status: Status?

    var rollout: OperandRollout {
        let conditions = status?.conditions ?? []
        let telling = ["NodeInstallerDegraded", "NodeInstallerProgressing"].lazy.compactMap { type in
            conditions.first { $0.type == type && $0.status == "True" }?.message
        }
        return OperandRollout(
            reason: spec?.forceRedeploymentReason ?? "",
            latestRevision: status?.latestAvailableRevision ?? 0,
            currentRevisions: (status?.nodeStatuses ?? []).map { $0.currentRevision ?? 0 },
            message: telling.first ?? ""
        )
    }
}

/// What the server answers when it refuses something.
struct APIStatus: Decodable {
    var message: String?
}
