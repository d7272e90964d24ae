import Files
import SystemPackage

/// An etcd that systemd runs, as kubespray and the packages of the distributions install it: a unit, its drop-ins and
/// the files with its variables.
enum EtcdUnit {
    private static let name = "etcd.service"
    /// Directories of units, the one that wins first.
    private static let directories: [FilePath] = [
        "/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
        "/lib/systemd/system",
    ]
    /// Where kubespray, Debian and Red Hat have the variables, for a node whose unit cannot be read.
    private static let environmentFiles: [FilePath] = ["/etc/etcd.env", "/etc/default/etcd", "/etc/etcd/etcd.conf"]

    /// What they say; `nil` when there is neither a unit nor a file of variables.
    static func place(in files: any FileSource) throws -> EtcdPlace? {
        var lines: [(key: String, value: String)] = []
        var source: FilePath?
        for directory in directories where try source == nil && files.exists(directory.appending(name)) {
            source = directory.appending(name)
            lines = try entries(of: directory.appending(name), in: files)
        }
        for directory in directories.reversed() {
            let dropIns = directory.appending("\(name).d")
            guard try files.exists(dropIns) else { continue }
            for file in try files.names(in: dropIns) where file.extension == "conf" {
                lines += try entries(of: dropIns.appending(file), in: files)
            }
        }
        var environment: [String: String] = [:]
        var command = ""
        var workingDirectory: FilePath = "/"
        for (key, value) in lines {
            switch key {
            // An empty one takes back what came before.
            case "ExecStart": command = value
            case "Environment":
                for word in ShellScript("x " + value).commands.first?.dropFirst() ?? [] {
                    environment.merge(EtcdLocator.environment(from: word)) { $1 }
                }
            case "EnvironmentFile":
                let path = FilePath(String(value.drop { $0 == "-" }))
                guard path.isAbsolute, try files.exists(path) else { break }
                environment.merge(try variables(in: path, files)) { $1 }
            case "WorkingDirectory": workingDirectory = FilePath("/").pushing(FilePath(value))
            default: break
            }
        }
        if environment.isEmpty {
            for path in environmentFiles where try environment.isEmpty && files.exists(path) {
                environment = try variables(in: path, files)
                source = source ?? path
            }
        }
        guard let source else { return nil }
        let words = ShellScript(command, variables: environment).commands.first ?? []
        let arguments = ShellScript.arguments(of: "etcd", in: words) ?? []
        var settings = EtcdSettings(arguments: arguments, environment: environment)
        if let named = settings["config-file"], try files.exists(FilePath(named)) {
            settings = try EtcdSettings(
                configuration: files.readFile(FilePath(named), limitBytes: 1 << 20),
                file: FilePath(named)
            )
        }
        guard !settings.isEmpty else { return nil }
        var place = EtcdPlace(settings, source: source) { path in
            .onNode(workingDirectory.pushing(path).lexicallyNormalized())
        }
        place.unit = name
        if place.data == .unknown {
            // etcd's own default.
            place.data = .onNode(workingDirectory.appending("\(place.name ?? "default").etcd"))
        }
        return place
    }

    private static func variables(in path: FilePath, _ files: any FileSource) throws -> [String: String] {
        let text = String(decoding: try files.readFile(path, limitBytes: 1 << 20), as: UTF8.self)
        return EtcdLocator.environment(from: text)
    }

    /// `Key=value` lines of a unit file, a backslash at the end goes on in the next line.
    private static func entries(
        of path: FilePath,
        in files: any FileSource
    ) throws -> [(key: String, value: String)] {
        let text = String(decoding: try files.readFile(path, limitBytes: 1 << 20), as: UTF8.self)
            .replacing("\\\n", with: " ")
        return text.split(separator: "\n").compactMap { line in
            guard let equals = line.firstIndex(of: "="), !line.hasPrefix("#"), !line.hasPrefix(";") else { return nil }
            return (String(line[..<equals]), String(line[line.index(after: equals)...].drop { $0 == " " }))
        }
    }
}
