import ArgumentParser
import SystemPackage
import TestSupport
import Testing

@testable import node_recovery

@Suite("The package", .enabled(if: Deb.isWanted, Deb.comment)) struct DebTests {
    private let directory: TemporaryDirectory
    private let installed: FilePath
    private let deb: FilePath

    init() throws {
        directory = try TemporaryDirectory()
        installed = try Deb.unpacked(in: directory)
        deb = try Deb.made.path
    }

    /// The names that an operator types, without TALM's old spelling.
    private static let names = Program.commands.map(\.name).filter { !$0.hasSuffix(".sh") }

    /// The names of all pages: every name, and every subcommand of it.
    private static let pages: [String] =
        ["node-recovery"]
        + Program.commands.filter { !$0.name.hasSuffix(".sh") }.flatMap { pages(of: $0.command, named: $0.name) }

    private static func pages(of command: any ParsableCommand.Type, named name: String) -> [String] {
        [name] + command.configuration.subcommands.flatMap { pages(of: $0, named: "\(name)-\($0._commandName)") }
    }

    @Test("has the version of the program") func version() throws {
        #expect(try Shell.output("dpkg-deb -f '\(deb)' Version").trimmed == Program.version)
        #expect(deb.lastComponent?.string == "node-recovery_\(Program.version)_amd64.deb")
    }

    @Test("is the same, bit by bit, when it is made again") func reproducible() throws {
        let again = try Deb.make()
        #expect(try Shell.run("cmp '\(deb)' '\(again.path)'").status == 0)
    }

    @Test("passes lintian without errors or warnings, and each exception gives its reason") func lintian() throws {
        let result = try Shell.run("lintian --allow-root --fail-on error,warning '\(deb)'")
        #expect(result.status == 0, "\(result)")
        let overrides = try Shell.output("cat '\(project)/packaging/debian/lintian-overrides'").split(separator: "\n")
        #expect(overrides.first?.hasPrefix("# ") == true)
        #expect(overrides.filter { !$0.hasPrefix("#") }.allSatisfy { $0.hasPrefix("node-recovery: ") })
    }

    @Test("has the program once, and its names as links to it") func links() throws {
        let listing = try Shell.output("cd '\(installed)/usr/sbin' && find . -mindepth 1 -printf '%f %y %l\\n' | sort")
        let links = Self.names.map { "\($0) l node-recovery" }
        #expect(listing.split(separator: "\n").map { String($0).trimmed } == (links + ["node-recovery f"]).sorted())
    }

    @Test("has these files, and no others") func contents() throws {
        let listing = try Shell.output("cd '\(installed)' && find . ! -type d | grep -v ^./usr/sbin/ | LC_ALL=C sort")
        let completions = Self.names.flatMap {
            [
                "./usr/share/bash-completion/completions/\($0)", "./usr/share/zsh/vendor-completions/_\($0)",
                "./usr/share/fish/vendor_completions.d/\($0).fish",
            ]
        }
        let documents = [
            "CHANGELOG.md", "README.md", "changelog.gz", "copyright", "docs/against-talm.md", "docs/etcd-snapshots.md",
            "docs/glossary.md", "docs/job.md", "docs/recovery-point-format.md", "docs/recovery.svg",
            "docs/runbook.md", "docs/service.md", "examples/var-recovery.mount",
        ]
        let others = [
            "./etc/node-recovery/config.toml", "./lib/systemd/system/node-backup.service",
            "./lib/systemd/system/node-backup.timer", "./lib/systemd/system/upgrade-recovery-resume.service",
            "./usr/lib/tmpfiles.d/node-recovery.conf", "./usr/share/lintian/overrides/node-recovery",
        ]
        let expected =
            Self.pages.map { "./usr/share/man/man8/\($0).8.gz" } + completions
            + documents.map { "./usr/share/doc/node-recovery/\($0)" } + others
        let found = Set(listing.split(separator: "\n").map { String($0) })
        #expect(found.subtracting(expected).isEmpty && Set(expected).subtracting(found).isEmpty, "\(listing)")
        #expect(
            try Shell.output("dpkg-deb --ctrl-tarfile '\(deb)' | tar -xO ./conffiles")
                == "/etc/node-recovery/config.toml\n"
        )
    }

    @Test("has documents that link only to what it has") func documentLinks() throws {
        let folder = "\(installed)/usr/share/doc/node-recovery"
        for file in try Shell.output("cd '\(folder)' && ls *.md docs/*.md").split(separator: "\n") {
            let text = try Shell.output("cat '\(folder)/\(file)'")
            let place = file.split(separator: "/").dropLast().map { "\($0)/" }.joined()
            for part in text.split(separator: "](").dropFirst() {
                let target = String(part.prefix { $0 != ")" && $0 != "#" })
                guard !target.isEmpty, !target.contains("://") else { continue }
                #expect(
                    try Shell.run("test -e '\(folder)/\(place)\(target)'").status == 0,
                    "\(file) links to \(target)"
                )
            }
        }
        #expect(try Shell.output("cat '\(folder)/README.md'").contains("](docs/runbook.md)"))
    }

    @Test("has manual pages that man shows without a warning, and apropos finds", arguments: pages)
    func manual(page: String) throws {
        let path = "\(installed)/usr/share/man/man8/\(page).8.gz"
        let shown = try Shell.run("man --warnings -l -Tutf8 '\(path)' 2>&1 | col -b")
        #expect(!shown.output.contains("warning"), "\(shown)")
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SEE ALSO"] {
            #expect(shown.output.contains("\n\(section)\n"), "\(section) in \(shown)")
        }
        #expect(try Shell.output("lexgrog '\(path)'").contains("\"\(page) - "))
    }

    @Test("has a page of create that says what its help says") func create() throws {
        let text = try Shell.output(
            "MANWIDTH=200 man -l -Tutf8 '\(installed)/usr/share/man/man8/node-backup-create.8.gz' | col -bx | tr -s ' \\n' '  '"
        )
        for part in [
            "Earlier ones stay until the new one is verified.", "-n, --dry-run Print what would be done",
            "65 what etcd sent, or what was written, is damaged", "node-backup create --keep 3 --timeout 8min",
        ] {
            #expect(text.contains(part), "\(part) in \(text)")
        }
        #expect(!text.contains("termination-log"))
    }

    @Test("completes subcommands and options in bash, zsh and fish", arguments: names) func completions(name: String)
        throws
    {
        let share = "\(installed)/usr/share"
        let options = name == "upgrade-recovery"
        let word = options ? "--resu" : name == "node-backup" ? "cre" : "sav"
        let answer = options ? "--resume" : name == "node-backup" ? "create" : "save"
        let bash = try Shell.output(
            """
            shopt -s extglob
            . '\(share)/bash-completion/completions/\(name)'
            COMP_WORDS=(\(name) \(word)) COMP_CWORD=1 COMP_LINE='\(name) \(word)' COMP_POINT=\(name.count + 1 + word.count)
            function=$(complete -p \(name) | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
            "$function" \(name) \(word) \(name)
            echo "${COMPREPLY[*]}"
            """
        )
        #expect(bash.trimmed == answer)
        let fish = try Shell.output(
            "HOME='\(directory.path)' fish -c \"source '\(share)/fish/vendor_completions.d/\(name).fish'; complete -C '\(name) \(word)'\""
        )
        #expect(fish.split(whereSeparator: \.isWhitespace).first.map { String($0) } == answer, "\(fish)")
        try Shell.output("zsh -n '\(share)/zsh/vendor-completions/_\(name)'")
        #expect(try Shell.output("head -n 1 '\(share)/zsh/vendor-completions/_\(name)'").trimmed == "#compdef \(name)")
    }
}

@Suite("The release program", .enabled(if: Deb.isWanted, Deb.comment)) struct ReleaseProgramTests {
    private let program: FilePath

    init() throws { program = try #require(try Tool.release()) }

    @Test("needs no foreign library but libsystemd, libstdc++ and libgcc, and looks for none in a folder of its own")
    func libraries() throws {
        let dynamic = try Shell.output("readelf -dW '\(program)'")
        let needed = dynamic.split(separator: "\n").filter { $0.contains("(NEEDED)") }
            .compactMap { $0.split(separator: "[").last?.dropLast() }
        let allowed: Set<Substring> = [
            "libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "libgcc_s.so.1", "libstdc++.so.6", "libsystemd.so.0",
        ]
        #expect(!needed.isEmpty && Set(needed).isSubset(of: allowed), "\(needed)")
        #expect(!dynamic.contains("RUNPATH") && !dynamic.contains("RPATH"))
    }

    @Test(
        "starts where the oldest node has only this",
        arguments: [("GLIBC", [2, 34]), ("GLIBCXX", [3, 4, 29]), ("CXXABI", [1, 3, 11])]
    )
    func symbols(family: String, newest: [Int]) throws {
        let text = try Shell.output("objdump -T '\(program)' | grep -o '\(family)_[0-9.]*' | sort -u")
        let versions = text.split(separator: "\n").map { line in
            line.dropFirst(family.count + 1).split(separator: ".").compactMap { Int($0) }
        }
        #expect(!versions.isEmpty)
        for version in versions { #expect(!newest.lexicographicallyPrecedes(version), "\(family) \(version)") }
    }

    @Test("has no path of the folder that it was built in, nor the length of one") func paths() throws {
        #expect(try Shell.run("grep -c -a -F '\(project)/' '\(program)'").output.trimmed == "0")
        // It leaves the length of its file's path in the program, which no option of the compiler takes out.
        #expect(try Shell.run("grep -rlw withoutActuallyEscaping '\(project)/Sources'").output == "")
    }

    @Test("is no larger than 30 MB, and exports nothing") func size() throws {
        #expect(try #require(Int(try Shell.output("stat -c %s '\(program)'").trimmed)) < 30_000_000)
        let exported = try Shell.output("objdump -T '\(program)' | grep -vc 'UND' || true")
        #expect(try #require(Int(exported.trimmed)) < 20)
    }

    @Test(
        "starts in less than 10 ms",
        arguments: ["node-recovery", "node-backup", "upgrade-recovery", "etcd-snapshot"]
    )
    func start(name: String) throws {
        let words = name == "node-recovery" ? "" : name
        // Other tests make packages meanwhile: one start that is not in their way is enough.
        let limit = ContinuousClock.now + .seconds(120)
        var best = Duration.seconds(1)
        while best >= .milliseconds(10), ContinuousClock.now < limit {
            let time = try ContinuousClock().measure { try Shell.output("exec '\(program)' \(words) --version") }
            best = min(best, time)
        }
        #expect(best < .milliseconds(10))
        #expect(try Shell.output("'\(program)' --version") == "node-recovery \(Program.version)\n")
    }
}
