internal import Bolt
internal import Files
internal import Reporting
internal import SystemPackage

/// Compares the digest at the end of a snapshot with the bytes before it, on a thread of its own.
///
/// SHA-256 takes longer than all other checks together where the CPU has no instruction for it.
final class SnapshotDigestThread {
    /// What the thread works with and what it leaves; read again only after the thread has ended.
    private final class Work: @unchecked Sendable {
        let file: FileDescriptor
        let length: Int
        let cancellation: Cancellation
        var result: Result<Bool, any Error> = .success(false)

        init(_ file: FileDescriptor, _ length: Int, _ cancellation: Cancellation) {
            self.file = file
            self.length = length
            self.cancellation = cancellation
        }

        func run() {
            result = Result { try matches() }
        }

        private func matches() throws -> Bool {
            var hasher = SHA256Hasher()
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
            defer { buffer.deallocate() }
            var done = 0
            while done < length {
                try cancellation.check()
                let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, length - done)])
                try read(piece, at: done)
                hasher.update(UnsafeRawBufferPointer(piece))
                done += piece.count
            }
            let trailer = UnsafeMutableRawBufferPointer(rebasing: buffer[..<SnapshotInspector.trailerSize])
            try read(trailer, at: length)
            return hasher.finish().bytes.elementsEqual(trailer)
        }

        private func read(_ piece: UnsafeMutableRawBufferPointer, at offset: Int) throws(BoltError) {
            var filled = 0
            while filled < piece.count {
                let got: Int
                do {
                    got = try file.read(
                        fromAbsoluteOffset: Int64(offset + filled),
                        into: UnsafeMutableRawBufferPointer(rebasing: piece[filled...])
                    )
                } catch {
                    throw BoltError("read", .system(error as? Errno ?? .ioError, offset: offset + filled))
                }
                guard got > 0 else { throw BoltError("read", .shrank(offset: offset + filled)) }
                filled += got
            }
        }
    }

    private let work: Work
    private let thread: WorkerThread?

    /// Starts reading the `length` bytes of the database and the digest behind them.
    init(_ file: FileDescriptor, length: Int, cancellation: Cancellation) {
        let work = Work(file, length, cancellation)
        self.work = work
        do {
            thread = try WorkerThread { work.run() }
        } catch {
            // Without a thread it is done at once; the machine's limit is nobody's damage.
            thread = nil
            work.run()
        }
    }

    /// Waits for the end: whether the digest belongs to the database.
    ///
    /// To be called once, and before the descriptor is closed.
    func wait() throws -> Bool {
        thread?.join()
        return try work.result.get()
    }
}
