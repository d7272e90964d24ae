import Recovery
import Reporting
import SystemPackage
import TestSupport
import Testing

@Suite("The doctor on a practice node", PracticeNodes()) struct DoctorTests {
    private static let names = ReadinessChecks.listing.map(\.name)

    @Test("says the same as text, as JSON and as figures", arguments: ["kubeadm", "openshift"])
    func forms(profile: String) throws {
        let node = try PracticeNodes.node(profile)
        let store = try node.store("doctor-\(profile)")
        let file = node.directory / "doctor-\(profile).prom"
        let first = try node.backup("doctor", store)
        #expect(first.status == 81, "\(first)")
        #expect(first.output.contains("This node cannot be recovered: there is no recovery point in"))

        try node.backupDone("create", store, "--metrics", file.string)
        let made = try Exposition(try Shell.output("cat '\(file)'"))
        #expect(made.values["node_recovery_backup_generation"] == 1)
        #expect(made.values["node_recovery_backup_last_status"] == 1)
        #expect(made.values["node_recovery_recoverable"] == nil)
        #expect(try Shell.output("stat -c %a '\(file)'") == "644\n")

        let before = try Shell.output("cd '\(store)' && find . -printf '%p %T@ %s\\n' | sort")
        let text = try node.backup("doctor", store, "--metrics", file.string)
        let json = try node.backup("doctor", store, "--json")
        #expect(try Shell.output("cd '\(store)' && find . -printf '%p %T@ %s\\n' | sort") == before)
        // no container runtime runs on a practice node: nobody can tell about its images
        #expect(text.status == 80, "\(text)")
        #expect(json.status == 80)
        #expect(!text.output.contains("\u{1B}"))
        let document = try JSON(parsing: json.output)
        #expect(document["checks"].items.compactMap { $0["check"].text } == Self.names)
        let figures = try Exposition(try Shell.output("cat '\(file)'"))
        var open: [String] = []
        for item in document["checks"].items {
            let name = try #require(item["check"].text)
            let state = try #require(item["state"].text)
            let line = text.output.split(separator: "\n").first { $0.contains("  \(name) ") }
            #expect(line?.hasPrefix(state) == true, "\(name) \(text.output)")
            let number = ["green": 0.0, "amber": 1, "red": 2][state]
            #expect(figures.values["node_recovery_doctor_check{check=\"\(name)\"}"] == number)
            #expect((state == "green") == (item["next"] == .null), "\(name)")
            if state != "green" { open.append(name) }
        }
        // Without a container runtime the recovery point lacks the images, too: it is a partial one.
        #expect(open == ["point", "images"], "\(text.output)")
        #expect(document["recoverable"] == .bool(true))
        #expect(document["generation"].integer == 1)
        let until = try #require(document["recoverable_until"].text)
        #expect(text.output.contains("This node can be recovered to recovery point 1 until \(until.prefix(10)) ("))
        let seconds = try Shell.output("date -u -d '\(until)' +%s").trimmed
        #expect(figures.values["node_recovery_recoverable_until_timestamp_seconds"].map { "\(Int($0))" } == seconds)
        #expect(figures.values["node_recovery_recoverable"] == 1)

        // another backup keeps what the doctor said; one that fails says so
        try node.backupDone("create", store, "--metrics", file.string)
        let second = try Exposition(try Shell.output("cat '\(file)'"))
        #expect(second.values["node_recovery_backup_generation"] == 2)
        #expect(second.values["node_recovery_doctor_check{check=\"images\"}"] == 1)
        let failed = try node.backup(
            "create",
            store,
            "--metrics",
            file.string,
            "--etcd-endpoint",
            "http://127.0.0.1:1"
        )
        #expect(failed.status == 69, "\(failed)")
        let third = try Exposition(try Shell.output("cat '\(file)'"))
        #expect(third.values["node_recovery_backup_last_status"] == 0)
        #expect(third.values["node_recovery_backup_generation"] == 2)
    }

    @Test("prints with --quiet only what is not green") func quiet() throws {
        let node = try PracticeNodes.node("kubeadm")
        let store = try node.store("doctor-quiet")
        try node.backupDone("create", store)
        let result = try node.backup("doctor", store, "--quiet")
        #expect(result.status == 80)
        let lines = result.output.split(separator: "\n")
        #expect(lines.count == 5, "\(result)")
        #expect(lines.first?.contains("is partial, without images") == true)
        #expect(lines.dropFirst(2).first?.hasPrefix("amber  images") == true)
    }

    @Test("uses colours on a terminal that has them only") func colours() throws {
        let node = try PracticeNodes.node("kubeadm")
        let store = try node.store("doctor-colours")
        let command =
            "'\(node.tool.path("node-backup"))' doctor --root '\(node.root)' --dir '\(store)'"
        for (variables, hasColor) in [
            ("TERM=xterm NO_COLOR= ", true), ("TERM=dumb NO_COLOR= ", false), ("TERM=xterm NO_COLOR=1 ", false),
            ("TERM=xterm NO_COLOR= KUBERNETES_SERVICE_HOST=10.0.0.1 ", false),
        ] {
            let result = try Shell.run("script -qec \"env \(variables) \(command)\" /dev/null")
            #expect(result.output.contains("\u{1B}[1;31mred") == hasColor, "\(variables) \(result)")
        }
    }

    @Test("says what is wrong when the point is damaged and cannot write figures where there is no directory")
    func refusals() throws {
        let node = try PracticeNodes.node("kubeadm")
        let store = try node.store("doctor-refusals")
        try node.backupDone("create", store)
        let nowhere = try node.backup("doctor", store, "--metrics", "\(node.directory / "none")/x.prom")
        #expect(nowhere.status == 66, "\(nowhere)")
        try Shell.output("rm '\(store)/points/1/etc.files.zst'")
        let result = try node.backup("doctor", store)
        #expect(result.status == 81)
        #expect(result.output.contains("etc.files.zst"))
        #expect(try node.backup("doctor", store, "--point", "7").output.contains("there is no recovery point 7"))
    }
}
