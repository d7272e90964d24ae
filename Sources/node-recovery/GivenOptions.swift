import Glibc
import SystemPackage

/// The options of a command line that belong into every command that the program tells to type: without them that command
/// would look at another directory, another node or other settings.
struct GivenOptions {
    /// For every command: `--dir`, `--root`, `--config`.
    private let common: [(option: String, words: [String])]
    /// For a recovery that is started; one that is resumed has them from its journal.
    private let starting: [(option: String, words: [String])]

    private static let commonNames = ["--dir", "--root", "--config"]
    private static let startingNames = ["--skip-check", "--keep-path"]
    private static let startingFlags = ["--without-undo", "--force"]

    /// Those of a command line, its program's name included.
    init(_ arguments: [String]) {
        var common: [(String, [String])] = []
        var starting: [(String, [String])] = []
        let end = arguments.firstIndex(of: "--") ?? arguments.endIndex
        var rest = arguments[..<end].dropFirst()
        while let word = rest.popFirst() {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            if Self.startingFlags.contains(name) {
                starting.append((name, [name]))
                continue
            }
            guard Self.commonNames.contains(name) || Self.startingNames.contains(name) else { continue }
            guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else { break }
            let words = [name, name.hasSuffix("-check") || name.hasSuffix("-path") ? value : Self.absolute(value)]
            if Self.commonNames.contains(name) { common.append((name, words)) } else { starting.append((name, words)) }
        }
        self.common = common
        self.starting = starting
    }

    /// A text with the options in each command of ours.
    func applied(to text: String) -> String {
        guard !common.isEmpty || !starting.isEmpty else { return text }
        let command =
            #/(?:node-backup (?:create|list|show|verify|diff|extract|restore|prune|doctor)|upgrade-recovery)(?=[ ',;)]|$)[^',;)(]*/#
        return text.replacing(command) { match in
            let found = String(match.output)
            let words = found.split(separator: " ").map { String($0) }
            // What follows in prose is not an option: 'upgrade-recovery has …'.
            guard words.dropFirst(found.hasPrefix("node-backup") ? 2 : 1).first.map(Self.isArgument) ?? true else {
                return found
            }
            let starts =
                found.hasPrefix("upgrade-recovery")
                && !words.contains { ["--resume", "--status", "--list-steps", "--restart"].contains($0) }
            let added = (common + (starts ? starting : [])).filter { !words.contains($0.option) }
                .flatMap { $0.words.map(Self.quoted) }
            guard !added.isEmpty else { return found }
            let trailing = found.hasSuffix(" ") ? " " : ""
            return (words + added).joined(separator: " ") + trailing
        }
    }

    private static func isArgument(_ word: String) -> Bool {
        word.hasPrefix("-") || word.allSatisfy { $0.isNumber || $0.isUppercase } || word == "latest"
    }

    /// A path that means the same in another directory.
    private static func absolute(_ path: String) -> String {
        let path = FilePath(path)
        guard path.isRelative, let here = getcwd(nil, 0) else { return path.string }
        defer { free(here) }
        return FilePath(platformString: here).pushing(path).lexicallyNormalized().string
    }

    /// A word as a shell takes it, inside the single quotes of a message as well.
    private static func quoted(_ word: String) -> String {
        let isPlain = word.allSatisfy { $0.isLetter || $0.isNumber || "-_./,:=@%+*".contains($0) }
        return isPlain ? word : "\"\(word.replacing("\"", with: "\\\""))\""
    }
}
