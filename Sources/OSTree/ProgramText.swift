/// The list that `ostree admin status` prints.
enum StatusText {
    /// The deployments in order: a line `* OS CHECKSUM.SERIAL (note)` for each, details in lines that are indented
    /// deeper.
    static func deployments(in text: String) -> [(osName: String, name: DeploymentName)] {
        text.split(whereSeparator: \.isNewline).compactMap { line in
            guard line.hasPrefix("* ") || line.hasPrefix("  "), !line.dropFirst(2).hasPrefix(" ") else { return nil }
            let words = line.dropFirst(2).split(separator: " ")
            guard words.count >= 2, let name = DeploymentName(words[1]) else { return nil }
            return (String(words[0]), name)
        }
    }
}

/// Values as GLib prints them, which is how `ostree show --print-metadata-key` answers.
enum VariantText {
    /// The text of a printed string, in single or double quotes with backslashes; `nil` for every other value.
    static func string(_ printed: String) -> String? {
        let line = printed.split(whereSeparator: \.isNewline).first ?? ""
        guard line.count >= 2, let quote = line.first, quote == "'" || quote == "\"", line.last == quote else {
            return nil
        }
        var text = ""
        var isEscaped = false
        for character in line.dropFirst().dropLast() {
            if !isEscaped, character == "\\" {
                isEscaped = true
            } else {
                text.append(character)
                isEscaped = false
            }
        }
        return text
    }
}
