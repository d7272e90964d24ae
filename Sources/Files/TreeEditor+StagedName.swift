import Glibc
import SystemPackage

extension TreeEditor {
    /// A name for a file that is being made: `.node-recovery.` and 16 random hexadecimal digits.
    ///
    /// It does not depend on the file's own name, which may be as long as a name can be.
    /// - Parameter number: which one it is; a random one meets no other.
    package static func stagedName(_ number: UInt64 = .random(in: 0 ... .max)) -> [UInt8] {
        let digits = String(number, radix: 16)
        return Array((stagedPrefix + String(repeating: "0", count: 16 - digits.count) + digits).utf8)
    }

    /// Whether a name is one of those.
    package static func isStagedName(_ name: ArraySlice<UInt8>) -> Bool {
        name.count == stagedPrefix.utf8.count + 16 && name.starts(with: stagedPrefix.utf8)
            && name.suffix(16).allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    private static let stagedPrefix = ".node-recovery."

    /// What a run that was killed has left beside tops, in directories above them.
    package static func leftovers(beside tops: [TreePath], in root: RootDirectory) throws(FilesError) -> [TreePath] {
        var found = [TreePath]()
        for directory in Set(tops.compactMap(\.parent)) {
            do {
                for name in try root.names(in: FilePath(directory)) {
                    let bytes = name.withPlatformString { Array(UnsafeBufferPointer(start: $0, count: strlen($0))) }
                    let path = directory.appending(bytes.map { UInt8(bitPattern: $0) })
                    if isStagedName(path.name), !tops.contains(path) { found.append(path) }
                }
            } catch {
                guard error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory else { throw error }
            }
        }
        return found
    }
}
