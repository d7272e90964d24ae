internal import Glibc
internal import SystemPackage

/// Files of a few lines, read whole.
enum SmallFile {
    /// What ostree's own small files stay far below.
    static let limit = 1 << 20

    /// The content of a file; `nil` when there is no such file.
    static func contents(of path: FilePath) throws(OSTreeError) -> [UInt8]? {
        var content = [UInt8]()
        do {
            // Opened without blocking, as a FIFO in the file's place would block for good.
            let file = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .nonBlocking])
            defer { try? file.close() }  // ignored: nothing was written
            var piece = [UInt8](repeating: 0, count: 16384)
            while content.count <= limit {
                let count = try piece.withUnsafeMutableBytes { try file.read(into: $0) }
                if count == 0 { return content }
                content += piece[..<count]
            }
        } catch let error as Errno {
            if error == .noSuchFileOrDirectory || error == .notDirectory { return nil }
            throw .unreadable(path, error)
        } catch {
            throw .damaged(path, "\(error)")
        }
        throw .damaged(path, "it is longer than \(limit) bytes")
    }
}
