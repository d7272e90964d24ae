internal import Files
internal import Reporting
internal import SystemPackage

/// Small files on their way from the archive to the disk, made in batches by two threads.
///
/// To make a file takes the kernel longer than it takes us to read it from the archive. So whoever reads collects
/// contents, and a thread makes the files of one batch while the next one is collected; when the thread is not done
/// with it by then, the reader makes the next batch itself. Memory: two batches, see ``ContentBatch``.
final class SmallFiles {
    /// The longest content that is taken; a longer one is written as it comes.
    private static let largestContent = Int64(ContentBatch<File>.largestContent)

    /// Whether a file is taken: a short one without holes, as these would be filled.
    static func takes(_ record: FileRecord, dataBytes: Int64) -> Bool {
        record.size <= largestContent && record.digest?.form == .whole && dataBytes == record.size
    }

    /// A file that is to be made, and where.
    private typealias File = (record: FileRecord, location: TreePath)

    /// Files and their contents, handed from thread to thread.
    private final class Batch {
        private var contents = ContentBatch<File>()

        /// Room for one more content of so many bytes; `nil` when the batch is to be made first.
        func room(for size: Int64) -> UnsafeMutableRawBufferPointer? { contents.room(for: Int(size)) }

        /// Takes a file whose content fills the last room.
        func add(_ file: File) { contents.add(file, contentOf: Int(file.record.size)) }

        /// Compares the contents with their digests and makes the files; empty afterwards.
        func make(by editor: TreeEditor, _ verify: (FileRecord, ContentDigest?) throws -> Void) throws {
            try contents.flush { file, bytes, digest in
                try verify(file.record, digest)
                try editor.makeFile(file.record, at: file.location) { content throws in
                    guard let bytes, !bytes.isEmpty else { return }
                    try editor.willChange("write")
                    try content.descriptor.writeAll(bytes, at: 0, path: content.path)
                }
            }
        }
    }

    private let editor: TreeEditor
    private let helper: Helper
    private let thread: WorkerThread
    private var batch = Batch()
    private let archive: IndexedArchive

    /// Starts the thread.
    /// - Parameter editor: makes the files of the batches that are made here; the thread has one of its own.
    /// - Parameter archive: where the contents come from.
    init(editor: TreeEditor, archive: IndexedArchive) throws(ArchiveError) {
        self.editor = editor
        self.archive = archive
        let helper = Helper(editor: editor.copy(), verify: archive.verify)
        self.helper = helper
        do {
            thread = try WorkerThread { helper.work() }
        } catch {
            throw ArchiveError("start a thread to restore", in: archive.path, .system(error.errno))
        }
    }

    deinit { stop() }

    /// Reads the content that the archive is at, and takes the file.
    func add(_ record: FileRecord, at location: TreePath) throws {
        if batch.room(for: record.size) == nil {
            if let spare = try helper.exchange(batch) {
                batch = spare
            } else {
                try batch.make(by: editor, archive.verify)
            }
        }
        guard let room = batch.room(for: record.size) else { preconditionFailure("too large for a batch") }
        try archive.readContent(of: record, into: room)
        batch.add((record, location))
    }

    /// Makes what is left; whatever a thread could not make is thrown here at the latest.
    func finish() throws {
        try batch.make(by: editor, archive.verify)
        stop()
        if let failure = helper.failure { throw failure }
        editor.adopt(helper.editor)
    }

    /// Ends the thread once it has made the batch that it has; not more is made.
    func stop() {
        helper.stop()
        thread.join()
    }

    /// What the two threads share; the editor is the thread's own until it has ended.
    private final class Helper: @unchecked Sendable {
        private enum Event: Int, CaseIterable { case handedOver }

        let editor: TreeEditor
        private let monitor = Monitor<Event>()
        private let verify: @Sendable (FileRecord, ContentDigest?) throws -> Void
        private var spare: Batch? = Batch()
        private var waiting: Batch?
        private var stopping = false
        /// Why the thread has ended before its time.
        private(set) var failure: (any Error)?

        init(editor: TreeEditor, verify: @escaping @Sendable (FileRecord, ContentDigest?) throws -> Void) {
            self.editor = editor
            self.verify = verify
        }

        /// Gives a full batch for an empty one; `nil` while the thread has enough to do.
        func exchange(_ batch: Batch) throws -> Batch? {
            try monitor.locked {
                if let failure { throw failure }
                guard let empty = spare.take() else { return nil }
                waiting = batch
                monitor.wake(.handedOver)
                return empty
            }
        }

        func stop() {
            monitor.locked {
                stopping = true
                monitor.wake(.handedOver)
            }
        }

        func work() {
            while let batch = next() {
                do {
                    try batch.make(by: editor, verify)
                } catch {
                    return monitor.locked { failure = error }
                }
                monitor.locked { spare = batch }
            }
        }

        private func next() -> Batch? {
            monitor.locked {
                while waiting == nil, !stopping { monitor.wait(for: .handedOver) }
                return waiting.take()
            }
        }
    }
}
