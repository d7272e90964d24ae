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

/// What the server answers when it refuses something.
struct APIStatus: Decodable {
    var message: String?
}
