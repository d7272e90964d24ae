import Glibc
public import SystemPackage

extension FileDescriptor {
    /// Reads from the current offset to the end.
    ///
    /// - Parameter limitBytes: the most that it may be; more is `EFBIG`, so that a file from outside cannot fill
    ///   memory.
    /// - Parameter path: the file's name for the error.
    public func readAll(limitBytes: Int, path: @autoclosure () -> String) throws(FilesError) -> [UInt8] {
        var bytes = [UInt8]()
        while true {
            // one byte more than allowed, to see that there is one
            let wanted = Swift.min(Swift.max(bytes.count, 16384), limitBytes - bytes.count + 1)
            var count = 0
            let piece = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, initialized in
                repeat {
                    count = Glibc.read(rawValue, buffer.baseAddress, wanted)
                } while count < 0 && Glibc.errno == EINTR
                initialized = Swift.max(0, count)
            }
            guard count >= 0 else { throw .last("read", path()) }
            if count == 0 { return bytes }
            bytes += piece
            if bytes.count > limitBytes {
                throw FilesError(operation: "read", path: path(), errno: Errno(rawValue: EFBIG))
            }
        }
    }

    /// Writes all of `bytes` at the current offset.
    /// - Parameter path: the file's name for the error.
    public func writeAll(_ bytes: ArraySlice<UInt8>, path: @autoclosure () -> String) throws(FilesError) {
        try bytes.withUnsafeBufferPointer { bytes throws(FilesError) in
            try writeAll(UnsafeRawBufferPointer(bytes), path: path())
        }
    }

    /// Writes all of `bytes`, at the current offset or at `offset`.
    /// - Parameter path: the file's name for the error.
    public func writeAll(
        _ bytes: UnsafeRawBufferPointer,
        at offset: Int64? = nil,
        path: @autoclosure () -> String
    ) throws(FilesError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count =
                if let offset {
                    Glibc.pwrite(rawValue, rest.baseAddress, rest.count, Int(offset) + done)
                } else {
                    Glibc.write(rawValue, rest.baseAddress, rest.count)
                }
            if count < 0 {
                if Glibc.errno == EINTR { continue }
                throw .last("write", path())
            }
            done += count
        }
    }
}
