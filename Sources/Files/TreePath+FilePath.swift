public import SystemPackage

extension TreePath {
    /// The place of `path` below the root: `/etc/hosts` and `etc/hosts` are the same.
    ///
    /// Byte for byte; nothing is resolved.
    /// - Returns: `nil` when a component is `.` or `..`.
    public init?(_ path: FilePath) {
        let bytes = path.withPlatformString { name in
            Array(UnsafeBufferPointer(start: name, count: path.length)).map { UInt8(bitPattern: $0) }
        }
        self.init(validating: bytes)
    }
}

extension FilePath {
    /// The same bytes as a relative path; `.` for the root.
    public init(_ path: TreePath) {
        self.init(bytes: path.isRoot ? Array(".".utf8) : path.bytes)
    }

    /// A path of these bytes, up to the first NUL.
    init(bytes: some Sequence<UInt8>) {
        self.init(platformString: bytes.map { CChar(bitPattern: $0) } + [0])
    }

    /// The path of `path` below this directory.
    public func appending(_ path: TreePath) -> FilePath {
        path.isRoot ? self : pushing(FilePath(path))
    }

    /// For messages: as ``FileName`` prints names.
    public var operatorText: String {
        withPlatformString { name in
            FileName.text(of: UnsafeBufferPointer(start: name, count: length).map { UInt8(bitPattern: $0) })
        }
    }
}
