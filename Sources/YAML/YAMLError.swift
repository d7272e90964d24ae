public import Reporting

/// A text cannot be read as YAML, or uses a part of YAML that is not read here.
public struct YAMLError: OperatorError, Equatable {
    /// What the text is called, most often its path.
    public let name: String
    /// Where the fault was noticed; `nil` when it is the whole text's.
    public let position: YAMLNode.Position?
    /// What is wrong, in lower case.
    public let reason: String

    init(name: String, position: YAMLNode.Position?, reason: String) {
        self.name = name
        self.position = position
        self.reason = reason
    }

    /// The name, the place and the fault.
    public var summary: String {
        guard let position else { return "could not read '\(name)' as YAML: \(reason)" }
        return "could not read '\(name)' as YAML: line \(position.line), column \(position.column): \(reason)"
    }

    /// `78`: a file that configures the node cannot be used.
    public var exitStatus: ExitStatus { .config }
}
