import SystemPackage
import TestSupport
import Testing

/// The package's life on a machine: each test has a copy of this one that is thrown away.
@Suite("The installed package", .enabled(if: Deb.isWanted, Deb.comment)) struct InstallTests {
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        try Shell.output(
            """
            cd '\(directory.path)'
            mkdir given
            cp '\(try Deb.made.path)' given/new.deb
            cp -r '\(project)/packaging/debian/tests' given/tests
            # The same package as an older version, with other settings.
            dpkg-deb -R given/new.deb old
            sed -i 's/^Version: .*/Version: 0.0.1/' old/DEBIAN/control
            echo '# as it was' >> old/etc/node-recovery/config.toml
            (cd old && find etc lib usr -type f -exec md5sum {} + > DEBIAN/md5sums)
            dpkg-deb --root-owner-group -b old given/old.deb
            """
        )
    }

    /// Runs lines as root of a throw-away copy of this machine, which has no version of the package.
    private func run(_ lines: String) throws -> Shell.Result {
        let prologue = """
            dpkg -P node-recovery > /dev/null 2>&1 || true
            expect() { if [ "$1" = "$2" ]; then return; fi; echo "expected '$2', got '$1'"; exit 1; }
            # What is not as it was before the package came, but for the books that dpkg, man and dhelp keep.
            leftovers() {
                find /run/upper -mindepth 1 -printf '%y /%P\\n' | sort | while read -r type path; do
                    case $path in
                        /var/lib/dpkg/* | /var/cache/* | /var/log/*) continue ;;
                    esac
                    if [ "$type" != d ] || [ ! -d "/run/lower$path" ]; then echo "$path"; fi
                done
            }

            """
        try Shell.output(
            """
            cat > '\(directory.path)/given/script' << 'END_OF_SCRIPT'
            \(prologue)
            \(lines)
            END_OF_SCRIPT
            """
        )
        return try Shell.run("'\(project)/scripts/testbed/throw-away-root' '\(directory.path)/given' script")
    }

    @Test("comes, is renewed, goes and comes again without touching a recovery point, and leaves nothing behind")
    func lifeCycle() throws {
        let result = try run(
            """
            mkdir -p /var/recovery/points/7
            echo manifest > /var/recovery/points/7/manifest.json
            chmod 700 /var/recovery
            points() { find /var/recovery -printf '%p %y %m %U:%G %T@ %s\\n' | sort; cat /var/recovery/points/7/manifest.json; }
            before=$(points)

            dpkg -i /run/given/old.deb
            expect "$(node-backup --version | cut -d' ' -f1)" node-backup
            expect "$(systemctl is-enabled node-backup.timer || true)" disabled
            grep -q '^# as it was' /etc/node-recovery/config.toml
            systemctl enable node-backup.timer
            expect "$(points)" "$before"

            # Settings that nobody touched are renewed, those of the operator stay.
            cp -a /etc/node-recovery/config.toml /tmp/config
            dpkg -i /run/given/new.deb
            if grep -q '^# as it was' /etc/node-recovery/config.toml; then exit 1; fi
            expect "$(systemctl is-enabled node-backup.timer)" enabled
            echo 'keep = 5' > /etc/node-recovery/config.toml
            dpkg --force-confold -i /run/given/old.deb
            dpkg --force-confold -i /run/given/new.deb
            expect "$(cat /etc/node-recovery/config.toml)" 'keep = 5'
            expect "$(points)" "$before"

            dpkg -r node-recovery
            expect "$(cat /etc/node-recovery/config.toml)" 'keep = 5'
            expect "$(command -v node-backup || true)" ''
            expect "$(points)" "$before"
            dpkg -i /run/given/new.deb
            expect "$(cat /etc/node-recovery/config.toml)" 'keep = 5'
            node-backup list --config /dev/null > /dev/null
            rm -f /var/recovery/lock

            dpkg -P node-recovery
            expect "$(points)" "$before"
            rm -r /var/recovery/points
            dpkg -i /run/given/new.deb
            dpkg -P node-recovery
            expect "$(leftovers)" ''
            echo all is well
            """
        )
        #expect(result.status == 0 && result.output.hasSuffix("all is well\n"), "\(result)")
    }

    @Test("leaves a mounted recovery partition alone, even an empty one") func partition() throws {
        let result = try run(
            """
            mkdir -p /var/recovery
            mount -t tmpfs recovery /var/recovery
            dpkg -i /run/given/new.deb
            expect "$(stat -c %a /var/recovery)" 700
            dpkg -P node-recovery
            mountpoint -q /var/recovery
            echo all is well
            """
        )
        #expect(result.status == 0 && result.output.hasSuffix("all is well\n"), "\(result)")
    }

    @Test("passes its own tests, those that autopkgtest runs") func ownTests() throws {
        let control = try Shell.output("cat '\(project)/packaging/debian/tests/control'")
        let names = control.split(separator: "\n").filter { $0.hasPrefix("Tests: ") }.map { $0.dropFirst(7) }
        let files = try Shell.output("ls '\(project)/packaging/debian/tests'").split(separator: "\n")
        #expect(Set(files) == Set(names + ["control"]))
        for name in names {
            // A line on standard error is a failure to autopkgtest.
            let result = try run("dpkg -i /run/given/new.deb > /dev/null\n/run/given/tests/\(name) > /tmp/out")
            #expect(result.status == 0 && !result.output.contains("\nhint"), "\(name): \(result)")
        }
    }

    @Test("has no script that starts, stops or restarts a backup or a recovery") func scripts() throws {
        let text = try Shell.output(
            "dpkg-deb -e '\(directory.path)/given/new.deb' '\(directory.path)/control' && cd '\(directory.path)/control' && "
                + "cat postinst prerm postrm $(ls preinst 2>/dev/null)"
        )
        let touching = text.split(separator: "\n").filter {
            $0.contains("deb-systemd-invoke") || ($0.contains("systemctl") && !$0.contains("daemon-reload"))
        }
        #expect(
            touching.map { String($0).trimmed } == ["deb-systemd-invoke stop node-backup.timer > /dev/null || true"]
        )
    }
}
