public import Files
public import SystemPackage

/// The settings in force and where each one comes from: the defaults, over them the files of the distribution, over
/// them the machine's own, over them what was said on the command line.
public struct LayeredSettings: Sendable, Equatable {
    /// Where a value comes from.
    public enum Origin: Sendable, Hashable {
        /// No file sets it.
        case `default`
        /// A line of a file, from 1; `nil` when the line is not known.
        case file(String, line: Int?)
        /// An option on the command line, `--dir`.
        case option(String)
    }

    /// The values in force.
    public private(set) var settings = Settings()
    private var origins: [String: Origin] = [:]

    /// The defaults.
    public init() {}

    /// Where the value of a key comes from.
    public func origin(of key: SettingsSchema.Key) -> Origin {
        origins[key.fullName] ?? .default
    }

    /// Reads the files of `directories` below `root`, each laid over those before it.
    ///
    /// In each directory `config.toml` comes first, then `config.d/*.toml` in the order of the bytes of their names.
    /// What is not there is passed over.
    /// - Throws: ``ConfigurationError`` for a line that cannot be used, `FilesError` for a file that cannot be read.
    public mutating func read(_ directories: [FilePath], in root: RootDirectory) throws {
        for directory in directories {
            var files = [directory.appending("config.toml")]
            let dropIns = directory.appending("config.d")
            if try root.exists(dropIns) {
                files += try root.names(in: dropIns).filter { $0.extension == "toml" }.map { dropIns.appending($0) }
            }
            for file in files where try root.exists(file) {
                let bytes = try root.readFile(file, limitBytes: Self.limitBytes)
                try apply(String(decoding: bytes, as: UTF8.self), file: root.fullPath(of: file).string)
            }
        }
    }

    /// Reads one file, which must be there, by its path on this machine.
    /// - Throws: ``ConfigurationError``.
    public mutating func read(_ file: FilePath) throws(ConfigurationError) {
        let bytes: [UInt8]
        do throws(FilesError) {
            let opened = try OwnedDescriptor(reading: file)
            bytes = try opened.descriptor.readAll(limitBytes: Self.limitBytes, path: file.string)
        } catch {
            throw ConfigurationError(file: file.string, line: nil, reason: "could not be read: \(error.errno)")
        }
        try apply(String(decoding: bytes, as: UTF8.self), file: file.string)
    }

    /// Lays one document over what was said before.
    /// - Throws: ``ConfigurationError`` with the file and the line.
    public mutating func apply(_ text: String, file: String) throws(ConfigurationError) {
        for key in try settings.apply(text, file: file) {
            origins[key.name] = .file(file, line: key.line)
        }
    }

    /// Lays an option over what the files have said.
    /// - Parameter key: the key's full name.
    public mutating func apply(option: String, to key: String, _ change: (inout Settings) -> Void) {
        change(&settings)
        origins[key] = .option(option)
    }

    /// More is no configuration.
    private static let limitBytes = 1 << 20
}
