import Configuration
import Testing

@Suite("A configuration file") struct SettingsReaderTests {
    private func read(_ text: String) throws -> Settings {
        var settings = Settings()
        try settings.apply(text, file: "/etc/node-recovery/config.toml")
        return settings
    }

    private func refusal(_ text: String) -> String? {
        do {
            _ = try read(text)
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test("gives every key its place") func everyKey() throws {
        let settings = try read(
            """
            dir = "/var/recovery"
            profile = "kubeadm"
            keep = 3
            timeout = "8min"
            level = 5
            jobs = 2
            allow_rootfs = true
            skip_unreadable = false
            metrics = "/var/lib/x.prom"
            [components]
            skip = ["images"]
            exclude = ["/etc/cache"]
            [etcd]
            endpoint = "https://127.0.0.1:2379"
            cacert = "/a"
            cert = "/b"
            key = "/c"
            stall_limit = "45s"
            [runtime]
            socket = "/run/x.sock"
            [doctor]
            max_age = "36h"
            expiry_warning = "14d"
            """
        )
        var expected = Settings()
        expected.directory = "/var/recovery"
        expected.profile = "kubeadm"
        expected.keep = 3
        expected.timeout = .seconds(480)
        expected.level = 5
        expected.jobs = 2
        expected.allowRootFileSystem = true
        expected.skipUnreadable = false
        expected.skippedComponents = ["images"]
        expected.excludedPaths = ["/etc/cache"]
        expected.etcdEndpoint = "https://127.0.0.1:2379"
        expected.etcdAuthority = "/a"
        expected.etcdCertificate = "/b"
        expected.etcdKey = "/c"
        expected.etcdStallLimit = .seconds(45)
        expected.runtimeSocket = "/run/x.sock"
        expected.metrics = "/var/lib/x.prom"
        expected.doctorMaxAge = .seconds(36 * 3600)
        expected.doctorExpiryWarning = .seconds(14 * 86_400)
        #expect(settings == expected)
    }

    @Test("lays a later document over an earlier one") func layers() throws {
        var settings = try read("keep = 3\nlevel = 2\n")
        try settings.apply("keep = 4\n", file: "/etc/node-recovery/config.d/10-site.toml")
        #expect(settings.keep == 4)
        #expect(settings.level == 2)
    }

    @Test("may be empty") func empty() throws {
        #expect(try read("") == Settings())
    }

    @Test(
        "is refused with its line when a key is not known",
        arguments: [
            ("keep = 2\nkep = 3\n", "line 2: there is no key 'kep'; did you mean 'keep'?"),
            ("[etcd]\nendpont = \"x\"\n", "line 2: there is no key 'etcd.endpont'; did you mean 'etcd.endpoint'?"),
            ("\n[backup]\nkeep = 2\n", "line 2: there is no key 'backup'"),
            ("etcd.colour = 1\n", "line 1: there is no key 'etcd.colour'"),
        ]
    )
    func unknownKey(_ text: String, _ message: String) {
        #expect(refusal(text) == "'/etc/node-recovery/config.toml', " + message)
    }

    @Test(
        "is refused with what the key takes when a value does not fit",
        arguments: [
            ("keep = 0", "'keep' must be a number from 1 to 1000"),
            ("keep = \"2\"", "'keep' must be a number from 1 to 1000"),
            ("timeout = 8", "'timeout' must be a duration such as \"8min\" or \"30s\""),
            ("timeout = \"soon\"", "'timeout' must be a duration such as \"8min\" or \"30s\""),
            ("profile = \"okd\"", "'profile' must be \"auto\", \"openshift\", \"kubeadm\", \"plain\""),
            ("dir = \"recovery\"", "'dir' must be an absolute path in quotes"),
            (
                "components.exclude = [\"a\", \"/../b\"]",
                "'components.exclude' must be a list of paths or patterns below the root, in quotes"
            ),
            ("metrics = \"x.prom\"", "'metrics' must be an absolute path in quotes"),
            ("components.skip = \"images\"", "'components.skip' must be a list of texts in quotes"),
            ("allow_rootfs = 1", "'allow_rootfs' must be true or false"),
        ]
    )
    func badValue(_ text: String, _ message: String) {
        #expect(refusal(text) == "'/etc/node-recovery/config.toml', line 1: " + message)
    }

    @Test("is refused with the line of a syntax error") func syntax() {
        #expect(refusal("keep = 2\nlevel = = 3\n")?.contains("line 2") == true)
    }
}
