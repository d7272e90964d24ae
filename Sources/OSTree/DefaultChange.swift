internal import COSTree
internal import Glibc
internal import Reporting
internal import SystemPackage

/// Puts one deployment in front of all others, through libostree in a process of its own.
struct DefaultChange {
    /// `nil` for the node itself, where ostree finds its sysroot.
    let sysroot: FilePath?
    let osName: String
    let name: DeploymentName

    /// Waits until it is done; the process is killed when it takes longer than `limit` or the run is to stop.
    ///
    /// libostree changes the order with one link, so that a kill leaves the old order or the new one.
    func run(limit: Duration, cancellation: Cancellation) throws {
        try cancellation.check()
        let pipe = try FileDescriptor.pipe()
        defer { try? pipe.readEnd.close() }  // ignored: nothing was written to it
        let child = start(pipe.writeEnd)
        let startFault = Errno(rawValue: errno)
        try pipe.writeEnd.close()
        guard child > 0 else { throw OSTreeError.library(name, "no process: \(startFault)") }
        var ended = false
        defer {
            if !ended {
                kill(-child, SIGKILL)
                kill(child, SIGKILL)
                _ = Self.status(of: child)
            }
        }
        let text = try Self.text(from: pipe.readEnd, limit: limit, cancellation: cancellation)
        let status = Self.status(of: child)
        ended = true
        switch status {
        case Int32(COSTree_done): return
        case Int32(COSTree_not_there): throw OSTreeError.notThere(name, sysroot ?? "/")
        case Int32(COSTree_no_library): throw OSTreeError.noLibrary(text)
        default: throw OSTreeError.library(name, text.isEmpty ? "it ended with status \(status)" : text)
        }
    }

    private func start(_ errors: FileDescriptor) -> pid_t {
        func start(_ path: UnsafePointer<CChar>?) -> pid_t {
            COSTree_start_set_default(path, osName, name.checksum, Int32(name.serial), errors.rawValue)
        }
        return sysroot?.withPlatformString { start($0) } ?? start(nil)
    }

    /// What the process writes until it ends.
    private static func text(
        from file: FileDescriptor,
        limit: Duration,
        cancellation: Cancellation
    ) throws -> String {
        let deadline = ContinuousClock.now + limit
        var bytes = [UInt8]()
        var piece = [UInt8](repeating: 0, count: 4096)
        while true {
            try cancellation.check()
            let left = deadline - .now
            guard left > .zero else { throw OSTreeError.limit(limit) }
            var set = [
                pollfd(fd: file.rawValue, events: Int16(POLLIN), revents: 0),
                pollfd(fd: cancellation.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            // ignored: a wait that is cut short is taken up again
            _ = poll(&set, 2, Int32((left / .milliseconds(1)).rounded(.up)))
            guard set[0].revents != 0 else { continue }
            let count = try piece.withUnsafeMutableBytes { try file.read(into: $0) }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            if bytes.count < piece.count { bytes += piece[..<count] }
        }
    }

    /// Waits for the end of the process: its status, or the negative number of the signal that ended it.
    private static func status(of child: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 {
            if errno != EINTR { return -1 }
        }
        return status & 0x7f == 0 ? (status >> 8) & 0xff : -(status & 0x7f)
    }
}
