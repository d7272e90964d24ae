internal import Files
public import SystemPackage

/// PEM text: the content of a file, or text that was taken out of one.
///
/// What is in memory never reaches a message, a log or a dump, as it may be a private key.
public struct PEM: Sendable, Hashable {
    /// The file that it is in, or was taken from; for messages.
    public let path: FilePath
    /// `nil`: the file is read when it is needed.
    private let content: [UInt8]?

    /// What a file will hold when it is read; the path is opened as it is.
    public init(_ path: FilePath) {
        self.path = path
        content = nil
    }

    /// Text in memory.
    /// - Parameter path: the file that it was taken from.
    public init(_ content: [UInt8], from path: FilePath) {
        self.path = path
        self.content = content
    }

    /// The most that a file may hold: a bundle of all public authorities is a quarter of it.
    private static let limitBytes = 1 << 20

    /// The text.
    func read(for target: RPCTarget) throws(RPCError) -> [UInt8] {
        if let content { return content }
        do {
            let file = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .nonBlocking])
            defer { try? file.close() }  // ignored: nothing was written
            return try file.readAll(limitBytes: Self.limitBytes, path: path.string)
        } catch let error as FilesError {
            throw RPCError(target, .fileUnreadable(path, errno: error.errno.rawValue))
        } catch let error as Errno {
            throw RPCError(target, .fileUnreadable(path, errno: error.rawValue))
        } catch {
            throw RPCError(target, .fileUnreadable(path, errno: Errno.ioError.rawValue))
        }
    }
}

extension PEM: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The path.
    public var description: String { path.string }
    /// The path.
    public var debugDescription: String { "PEM(\(path))" }
    /// The path alone.
    public var customMirror: Mirror { Mirror(self, children: ["path": path]) }
}
