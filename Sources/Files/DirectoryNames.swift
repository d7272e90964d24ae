import CLinux
import Glibc
import SystemPackage

/// The names in one directory, sorted by their bytes, without `.` and `..`.
///
/// All names lie behind each other in one block of memory, each with a NUL at its end.
struct DirectoryNames {
    private var bytes: [UInt8]
    private var ranges: [Range<Int>]

    /// A list of one name.
    init(_ name: [UInt8]) {
        bytes = name + [0]
        ranges = [0..<name.count]
    }

    /// Reads the directory from its start.
    /// - Parameter path: the directory's name for the error.
    init(of directory: Int32, path: @autoclosure () -> String) throws(FilesError) {
        guard lseek(directory, 0, SEEK_SET) == 0 else { throw .last("read the directory", path()) }
        var bytes = [UInt8]()
        var ranges = [Range<Int>]()
        let failed = withUnsafeTemporaryAllocation(byteCount: 32768, alignment: 8) { buffer in
            while true {
                let count = CLinux_getdents(directory, buffer.baseAddress, buffer.count)
                if count <= 0 { return count < 0 }
                var offset = 0
                while offset < count {
                    // struct linux_dirent64: ino 8 bytes, off 8, reclen 2, type 1, then the name and a NUL
                    let length = Int(buffer.loadUnaligned(fromByteOffset: offset + 16, as: UInt16.self))
                    let name = UnsafeRawBufferPointer(rebasing: buffer[(offset + 19)..<(offset + length)])
                    offset += length
                    let end = name.firstIndex(of: 0) ?? name.count
                    if end == 1, name[0] == UInt8(ascii: ".") { continue }
                    if end == 2, name[0] == UInt8(ascii: "."), name[1] == UInt8(ascii: ".") { continue }
                    ranges.append(bytes.count..<(bytes.count + end))
                    bytes.append(contentsOf: name[..<end])
                    bytes.append(0)
                }
            }
        }
        if failed { throw .last("read the directory", path()) }
        bytes.withUnsafeBufferPointer { all in
            guard let base = all.baseAddress else { return }
            ranges.sort { left, right in
                // the NUL behind each name makes the shorter of two equal beginnings the smaller one
                memcmp(base + left.lowerBound, base + right.lowerBound, min(left.count, right.count) + 1) < 0
            }
        }
        self.bytes = bytes
        self.ranges = ranges
    }

    var count: Int { ranges.count }

    subscript(index: Int) -> ArraySlice<UInt8> { bytes[ranges[index]] }

    /// Hands out one name as system calls want it.
    func withName<Result, Failure>(
        _ index: Int,
        _ body: (UnsafePointer<CChar>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try bytes.withUnsafeBufferPointer { all throws(Failure) in
            // the initialisers put a NUL behind each name, so there is a base address
            let name = UnsafeRawPointer(all.baseAddress! + ranges[index].lowerBound)
            return try body(name.assumingMemoryBound(to: CChar.self))
        }
    }
}
