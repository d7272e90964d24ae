import Glibc
public import SystemPackage

extension FileDescriptor {
    /// Whether two files hold the same bytes from their first to their last; reads up to the first difference.
    ///
    /// The offsets are neither used nor moved.
    /// - Parameter path: the file's name for the error.
    /// - Parameter otherPath: the same for the other one.
    public func hasSameBytes(
        as other: FileDescriptor,
        path: @autoclosure () -> String,
        otherPath: @autoclosure () -> String
    ) throws(FilesError) -> Bool {
        let size = try FileStat(of: self, path: path()).size
        guard try FileStat(of: other, path: otherPath()).size == size else { return false }
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 512 << 10, alignment: 64)
        defer { room.deallocate() }
        let halves = (
            UnsafeMutableRawBufferPointer(rebasing: room[..<(room.count / 2)]),
            UnsafeMutableRawBufferPointer(rebasing: room[(room.count / 2)...])
        )
        var offset = 0
        while true {
            let count = try read(halves.0, at: offset, path: path())
            guard try other.read(halves.1, at: offset, path: otherPath()) == count,
                memcmp(halves.0.baseAddress!, halves.1.baseAddress!, count) == 0  // both have room
            else { return false }
            if count < halves.0.count { return true }
            offset += count
        }
    }

    /// Fills `space` from `offset` on, unless the file ends before.
    private func read(
        _ space: UnsafeMutableRawBufferPointer,
        at offset: Int,
        path: @autoclosure () -> String
    ) throws(FilesError) -> Int {
        var done = 0
        while done < space.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: space[done...])
            let count = Glibc.pread(rawValue, rest.baseAddress, rest.count, offset + done)
            if count < 0, Glibc.errno == EINTR { continue }
            guard count >= 0 else { throw .last("read", path()) }
            if count == 0 { break }
            done += count
        }
        return done
    }
}
