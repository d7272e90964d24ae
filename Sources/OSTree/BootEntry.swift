internal import SystemPackage

/// An entry of the boot loader, in the form of the Boot Loader Specification: lines of a key, spaces and a value.
///
/// ostree writes `version` as a number that is highest for the default entry.
struct BootEntry: Comparable {
    let file: FilePath
    let version: Int
    /// The kernel's arguments, all `options` lines together.
    let options: [String]
    /// The kernel, as a path that the boot loader understands; `nil` when the entry names none.
    let kernel: String?
    /// What the kernel unpacks at its start, as such paths.
    let initramfs: [String]

    init(_ text: [UInt8], file: FilePath) {
        self.file = file
        var version = 0
        var options = [String]()
        var kernel: String?
        var initramfs = [String]()
        for line in String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let parts = line.split(maxSplits: 1, whereSeparator: { $0 == " " || $0 == "\t" })
            guard parts.count == 2 else { continue }
            switch parts[0] {
            case "version": version = Int(parts[1].filter { $0 != " " }) ?? 0
            case "options": options += Self.split(String(parts[1]))
            case "linux": kernel = Self.split(String(parts[1])).first
            case "initrd": initramfs += Self.split(String(parts[1]))
            default: break
            }
        }
        self.version = version
        self.options = options
        self.kernel = kernel
        self.initramfs = initramfs
    }

    /// What the argument `ostree=` says; `nil` for an entry of something else.
    var ostreeArgument: String? { Self.ostreeArgument(of: options) }

    /// The entry that the boot loader prefers is the greater one.
    static func < (left: BootEntry, right: BootEntry) -> Bool {
        (left.version, left.file.lastComponent?.string ?? "") < (right.version, right.file.lastComponent?.string ?? "")
    }

    static func ostreeArgument(of arguments: [String]) -> String? {
        let prefix = "ostree="
        return arguments.last { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }

    /// Splits a kernel command line at its spaces; a double quote holds spaces together, as the kernel reads it.
    static func split(_ line: String) -> [String] {
        var arguments = [String]()
        var current = ""
        var isQuoted = false
        for character in line {
            if character == "\"" { isQuoted.toggle() }
            if character.isWhitespace, !isQuoted {
                if !current.isEmpty { arguments.append(current) }
                current = ""
            } else {
                current.append(character)
            }
        }
        return current.isEmpty ? arguments : arguments + [current]
    }
}
