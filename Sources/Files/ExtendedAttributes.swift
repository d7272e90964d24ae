import CLinux
import Glibc
import SystemPackage

extension ExtendedAttribute {
    /// Reads all extended attributes of a file, sorted by name; empty where the file system has none.
    ///
    /// An attribute that is taken away between the listing and the reading was not there.
    /// - Parameter file: a path that is followed up to its last component; a link there is looked at itself.
    /// - Parameter path: the file's name for the error.
    static func all(
        of file: UnsafePointer<CChar>,
        path: @autoclosure () -> String
    ) throws(FilesError) -> [ExtendedAttribute] {
        let list: [UInt8]
        do {
            list = try Self.read { CLinux_llistxattr(file, $0, $1) }
        } catch {
            if error == .notSupported { return [] }
            throw FilesError(operation: "list the attributes of", path: path(), errno: error)
        }
        guard !list.isEmpty else { return [] }
        var attributes = [ExtendedAttribute]()
        for name in list.split(separator: 0) {
            do {
                let cName = name.map { CChar(bitPattern: $0) } + [0]
                let value = try Self.read { CLinux_lgetxattr(file, cName, $0, $1) }
                attributes.append(ExtendedAttribute(name: Array(name), value: value))
            } catch {
                if error == .noData { continue }
                throw FilesError(
                    operation: "read the attribute '\(FileName.text(of: name))' of",
                    path: path(),
                    errno: error
                )
            }
        }
        attributes.sort { $0.name.lexicographicallyPrecedes($1.name) }
        return attributes
    }

    /// Calls with a buffer that grows for as long as it is too small: the value may grow between two calls.
    private static func read(
        _ call: (_ buffer: UnsafeMutablePointer<CChar>?, _ size: Int) -> Int
    ) throws(Errno) -> [UInt8] {
        let (small, failure) = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
            let count = call(buffer.baseAddress, buffer.count)
            return count < 0 ? (nil, errno) : (buffer[..<count].map { UInt8(bitPattern: $0) }, 0)
        }
        if let small { return small }
        guard failure == ERANGE else { throw Errno(rawValue: failure) }
        var capacity = 4096
        // the kernel's own bound is 64 KiB for a value and for the list of names
        while capacity <= 1 << 20 {
            var large = [CChar](repeating: 0, count: capacity)
            let count = call(&large, capacity)
            if count >= 0 { return large[..<count].map { UInt8(bitPattern: $0) } }
            guard errno == ERANGE else { throw Errno(rawValue: errno) }
            capacity *= 4
        }
        throw Errno(rawValue: E2BIG)
    }
}
