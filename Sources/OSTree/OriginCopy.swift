internal import Files
internal import SystemPackage

/// An origin file for `ostree admin deploy`, which takes it by name only; removed with this value.
struct OriginCopy: ~Copyable {
    private static let place: FilePath = "/run"
    private let name: FilePath.Component?

    /// The file for a source; none for `nil`: then ostree makes an origin of its own.
    init(_ source: String?) throws {
        guard let source else {
            name = nil
            return
        }
        // As rpm-ostree tells them apart: a refspec has no scheme.
        let key = source.hasPrefix("ostree-") || source.contains("://") ? "container-image-reference" : "refspec"
        let number = String(UInt64.random(in: .min ... .max), radix: 16)
        guard let name = FilePath.Component(".node-recovery.\(number).origin") else {
            self.name = nil
            return
        }
        self.name = name
        try AtomicFile.write(Array("[origin]\n\(key)=\(source)\n".utf8), to: name, in: Directory(path: Self.place))
    }

    deinit {
        // ignored: it is in memory, and gone with the next boot
        if let name { try? Directory(path: Self.place).remove(name) }
    }

    /// The options that name it.
    var options: [String] { name.map { ["--origin-file=\(Self.place.appending($0))"] } ?? [] }
}
