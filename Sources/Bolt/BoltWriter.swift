public import Reporting
public import SystemPackage

/// Writes a new bbolt file in one pass, from buckets and pairs that come in ascending order.
///
/// The file has no free pages and depends on nothing but its content: the same pairs make the same bytes. It is packed
/// as bbolt packs, and never larger (``LeafShape``); ``BoltForecast`` has its size before it is written. A bucket of a
/// quarter page at most stands inside its own description. Pages 0 and 1 are the meta pages, page 2 an empty free list
/// (with it bbolt need not scan the file when it opens it, and a check can tell that no page is lost); data follow. The
/// meta pages are written last, after everything else is on the disk. Memory is some pages for each level of the tree,
/// and the values of one leaf: 1 MiB. Source: bbolt `node.go` `write`, `bucket.go` `write`, `tx.go` `writeMeta`.
public final class BoltWriter {
    private let output: PageOutput
    private let cancellation: Cancellation?
    private var root: BucketTreeWriter
    private var tree: BucketTreeWriter?
    private var bucket: (name: [UInt8], sequence: UInt64) = ([], 0)

    /// Starts a file with pages of `pageSize` bytes.
    ///
    /// - Parameter file: empty, open for writing; its offset is not used, and closing it is the caller's.
    /// - Precondition: `pageSize` is a power of two from 1 KiB to 16 MiB.
    public init(_ file: FileDescriptor, pageSize: Int, cancellation: Cancellation? = nil) {
        precondition(pageSize >= 1024 && pageSize <= 16 << 20 && pageSize & (pageSize - 1) == 0, "page size")
        output = PageOutput(file, pageSize: pageSize)
        self.cancellation = cancellation
        root = BucketTreeWriter(output)
    }

    /// Ends the bucket before and starts one.
    ///
    /// - Throws: ``BoltError`` when the bucket before does not come behind its predecessor, or the system cannot write.
    public func beginBucket(_ name: [UInt8], sequence: UInt64 = 0) throws {
        try endBucket()
        bucket = (name, sequence)
        tree = BucketTreeWriter(output)
    }

    /// Adds a pair to the bucket that was started last.
    ///
    /// - Parameter writeValue: hands the value's `valueCount` bytes, in pieces of any size, to the function that it
    ///   gets.
    /// - Throws: ``BoltError`` when the key does not come behind the one before, is empty or too long, when the value
    ///   is too long, or when the system cannot write; ``Stopped``; what `writeValue` throws.
    public func addPair(
        key: UnsafeRawBufferPointer,
        valueCount: Int,
        writeValue: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        try cancellation?.check()
        guard tree != nil else { throw BoltError("write", .unwritable("a pair outside every bucket")) }
        try tree?.add(flags: 0, key: key, valueCount: valueCount, writeValue: writeValue)
    }

    /// Adds a pair whose value is in memory.
    public func addPair(key: [UInt8], value: [UInt8]) throws {
        try key.withUnsafeBytes { key in
            try addPair(key: key, valueCount: value.count) { write in try value.withUnsafeBytes { try write($0) } }
        }
    }

    /// Ends the last bucket and the file, and waits until it is on the disk.
    ///
    /// - Returns: the meta page that counts.
    public func finish() throws -> BoltMeta {
        try endBucket()
        return try output.finish(root: root.finish())
    }

    private func endBucket() throws {
        guard var ended = tree else { return }
        tree = nil
        let (page, inline): (UInt64, [UInt8]) =
            switch try ended.finishBucket() {
            case .page(let page): (page, [])
            case .inline(let bytes): (0, bytes)
            }
        let value =
            withUnsafeBytes(of: page.littleEndian) { Array($0) }
            + withUnsafeBytes(of: bucket.sequence.littleEndian) { Array($0) } + inline
        try bucket.name.withUnsafeBytes { name in
            try root.add(flags: 1, key: name, valueCount: value.count) { write in
                try value.withUnsafeBytes { try write($0) }
            }
        }
    }
}
