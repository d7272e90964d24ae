/// The commands of a shell script, read as far as it takes to find the options of a program in it; nothing is run.
///
/// Quotes, backslashes, comments, `NAME=VALUE`, `export` and the plain expansions `$NAME`, `${NAME}`, `${NAME:-TEXT}`
/// are understood. What a command would print (`$(…)`), and variables that nobody has set, stay as they are written.
struct ShellScript {
    /// The words of each simple command, in order; assignments before a command are not among them.
    private(set) var commands: [[String]] = []
    /// What was given, and what the script has set on its way.
    private(set) var variables: [String: String]

    private var words: [String] = []
    private var word: String?

    /// Reads a script.
    init(_ script: String, variables: [String: String] = [:]) {
        self.variables = variables
        let text = Array(script.unicodeScalars)
        var index = 0
        while index < text.count {
            let scalar = text[index]
            index += 1
            switch scalar {
            case "\\":
                guard index < text.count else { break }
                if text[index] != "\n" { append(String(text[index])) }
                index += 1
            case "'":
                let end = text[index...].firstIndex(of: "'") ?? text.count
                append(Self.string(text[index..<end]))
                index = end + 1
            case "\"": readQuoted(text, &index)
            case "`":
                let end = text[index...].firstIndex(of: "`") ?? text.count
                append("`\(Self.string(text[index..<end]))`")
                index = end + 1
            case "$":
                let value = expansion(text, &index)
                // Outside quotes a value with blanks is several words.
                guard !value.hasPrefix("$(") else {
                    append(value)
                    break
                }
                var isFirst = true
                for piece in value.split(omittingEmptySubsequences: false, whereSeparator: Self.isBlank) {
                    if !isFirst { endWord() }
                    isFirst = false
                    if !piece.isEmpty { append(String(piece)) }
                }
            case "#" where word == nil:
                index = text[index...].firstIndex(of: "\n") ?? text.count
            case " ", "\t", "\r", "<", ">": endWord()
            case "\n", ";", "&", "|", "(", ")":
                endWord()
                endCommand()
            default: append(String(scalar))
            }
        }
        endWord()
        endCommand()
    }

    /// The words behind a program's name where a command of the script starts it, by itself or by a program that starts
    /// another one (`exec nice -n -19 etcd …`); `nil` when none does.
    func arguments(of program: String) -> ArraySlice<String>? {
        for command in commands {
            if let found = Self.arguments(of: program, in: command) { return found }
        }
        return nil
    }

    /// The same of one command.
    static func arguments(of program: String, in command: [String]) -> ArraySlice<String>? {
        guard let first = command.first,
            let index = command.firstIndex(where: { baseName($0) == program }),
            index == 0 || launchers.contains(baseName(first))
        else { return nil }
        return command[(index + 1)...]
    }

    /// The last component of a path.
    static func baseName(_ word: String) -> Substring { word.split(separator: "/").last ?? "" }

    /// Programs that start the one that their arguments name.
    private static let launchers: Set<Substring> = [
        "exec", "env", "nice", "ionice", "chrt", "taskset", "numactl", "setpriv", "su-exec", "gosu", "sudo", "timeout",
        "stdbuf", "tini", "dumb-init", "catatonit", "command",
    ]

    // MARK: Words

    private mutating func append(_ text: String) { word = (word ?? "") + text }

    private mutating func endWord() {
        // An assignment before a command holds for those that follow it.
        if let ended = word, !words.isEmpty || !assign(ended) { words.append(ended) }
        word = nil
    }

    private mutating func endCommand() {
        var rest = words[...]
        words = []
        while let first = rest.first, Self.reserved.contains(first) || assign(first) { rest.removeFirst() }
        if let first = rest.first, Self.declarations.contains(first) {
            for word in rest.dropFirst() { _ = assign(word) }
            return
        }
        if !rest.isEmpty { commands.append(Array(rest)) }
    }

    /// Takes `NAME=VALUE`.
    /// - Returns: whether it is that.
    private mutating func assign(_ word: String) -> Bool {
        guard let equals = word.firstIndex(of: "="), equals != word.startIndex,
            word[..<equals].unicodeScalars.allSatisfy(Self.isNameScalar), !word[..<equals].first!.isNumber
        else { return false }
        variables[String(word[..<equals])] = String(word[word.index(after: equals)...])
        return true
    }

    private static let reserved: Set<String> = ["{", "}", "!", "if", "then", "elif", "else", "while", "until", "do"]
    private static let declarations: Set<String> = ["export", "declare", "readonly", "local", "typeset"]

    // MARK: Quotes and expansions

    private mutating func readQuoted(_ text: [Unicode.Scalar], _ index: inout Int) {
        append("")
        while index < text.count {
            let scalar = text[index]
            index += 1
            switch scalar {
            case "\"": return
            case "\\" where index < text.count && ["$", "`", "\"", "\\", "\n"].contains(text[index]):
                if text[index] != "\n" { append(String(text[index])) }
                index += 1
            case "$": append(expansion(text, &index))
            default: append(String(scalar))
            }
        }
    }

    /// What stands for `$…`; `index` is behind the dollar, and behind the expansion afterwards.
    private func expansion(_ text: [Unicode.Scalar], _ index: inout Int) -> String {
        guard index < text.count else { return "$" }
        switch text[index] {
        case "(": return "$" + Self.bracketed(text, &index, "(", ")")
        case "{":
            let whole = Self.bracketed(text, &index, "{", "}")
            let body = whole.unicodeScalars.dropFirst().dropLast()
            let name = String(String.UnicodeScalarView(body.prefix(while: Self.isNameScalar)))
            let rest = String(String.UnicodeScalarView(body.dropFirst(name.unicodeScalars.count)))
            if let value = variables[name], !value.isEmpty || !rest.hasPrefix(":-") {
                return rest.isEmpty || rest.hasPrefix(":-") || rest.hasPrefix("-") ? value : "$" + whole
            }
            if rest.hasPrefix(":-") { return String(rest.dropFirst(2)) }
            if rest.hasPrefix("-") { return String(rest.dropFirst()) }
            return "$" + whole
        default:
            let name = Self.string(text[index...].prefix(while: Self.isNameScalar))
            index += name.unicodeScalars.count
            return variables[name] ?? "$" + name
        }
    }

    /// From an opening bracket to the closing one that belongs to it.
    private static func bracketed(
        _ text: [Unicode.Scalar],
        _ index: inout Int,
        _ opening: Unicode.Scalar,
        _ closing: Unicode.Scalar
    ) -> String {
        let start = index
        var depth = 0
        while index < text.count {
            if text[index] == opening { depth += 1 }
            if text[index] == closing { depth -= 1 }
            index += 1
            if depth == 0 { break }
        }
        return string(text[start..<index])
    }

    private static func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        String(String.UnicodeScalarView(scalars))
    }

    private static func isNameScalar(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || (scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil))
    }

    private static func isBlank(_ character: Character) -> Bool {
        character == " " || character == "\t" || character == "\n"
    }
}
