import SystemPackage

/// Words of unit files, quoted as systemd reads them (systemd.syntax(7), systemd.service(5)).
enum UnitText {
    /// A path in a list of paths.
    static func path(_ path: FilePath) -> String { quoted(path.string.replacing("%", with: "%%")) }

    /// A word of a command line, where a dollar sign stands for a variable as well.
    static func argument(_ word: String) -> String {
        quoted(word.replacing("%", with: "%%").replacing("$", with: "$$"))
    }

    /// In quotes where it needs them; the usual paths do not.
    private static func quoted(_ word: String) -> String {
        let plain = word.unicodeScalars.allSatisfy {
            !$0.properties.isWhitespace && !"\"'\\;".unicodeScalars.contains($0)
        }
        guard !plain || word.isEmpty else { return word }
        return "\"" + word.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
