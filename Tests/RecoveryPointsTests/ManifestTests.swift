import Files
import RecoveryPoints
import Reporting
import TestSupport
import Testing

@Suite("A manifest") struct ManifestTests {
    static func example() -> Manifest {
        var component = ComponentEntry(
            name: "etc",
            files: [
                StoredFile(
                    name: "etc.tar.zst",
                    role: .archive,
                    sizeBytes: 10,
                    sha256: SHA256Digest(hex: String(repeating: "ab", count: 32))!
                ),
                StoredFile(
                    name: "etc.files.zst",
                    role: .index,
                    sizeBytes: 3,
                    sha256: SHA256Digest(hex: String(repeating: "0", count: 64))!
                ),
            ],
            sourceFiles: 2,
            sourceBytes: 20
        )
        component.leftOut = [PathNote(path: "etc/\\377.sock", reason: "socket")]
        return Manifest(
            generation: 7,
            createdAt: "2026-11-21T02:37:05Z",
            durationSeconds: 1.5,
            toolVersion: "node-recovery 0.1.0",
            node: NodeIdentity(name: "node1", machineID: nil),
            profile: "kubeadm",
            components: [component],
            skipped: [SkippedComponent(name: "images", reason: "no container runtime is running")],
            etcd: nil,
            deployment: nil
        )
    }

    private func decode(_ text: String) throws(StoreError) -> Manifest {
        try Manifest.decode(Array(text.utf8), file: "/r/points/7/manifest.json")
    }

    @Test("reads back as it was written") func roundTrip() throws {
        let manifest = Self.example()
        let bytes = try manifest.encoded()
        #expect(try Manifest.decode(bytes, file: "m") == manifest)
        #expect(String(decoding: bytes, as: UTF8.self).contains("\"size_bytes\" : 10"))
    }

    @Test("of a later format is refused by its number") func laterFormat() throws {
        var manifest = Self.example()
        manifest.formatVersion = 2
        let bytes = try manifest.encoded()
        #expect(throws: StoreError.unknownFormat(file: "m", version: 2)) { try Manifest.decode(bytes, file: "m") }
        #expect(StoreError.unknownFormat(file: "m", version: 2).exitStatus == .newerProgram)
        // One that only adds things says so, and is read.
        manifest.readerFormatVersion = 1
        #expect(try Manifest.decode(try manifest.encoded(), file: "m") == manifest)
    }

    @Test("of a newer program keeps components and roles that are not known, by their names") func newerParts() throws {
        let text = String(decoding: try Self.example().encoded(), as: UTF8.self)
            .replacing("\"name\" : \"etc\"", with: "\"name\" : \"firmware\"")
        #expect(try decode(text).unknownParts == ["firmware"])
        #expect(try decode(text).component(named: "firmware")?.component == nil)
        let role = String(decoding: try Self.example().encoded(), as: UTF8.self)
            .replacing("\"role\" : \"index\"", with: "\"role\" : \"poem\"")
        let manifest = try decode(role)
        #expect(manifest.unknownParts == ["etc/etc.files.zst"])
        #expect(manifest.component(.etc)?.unknownFiles.first?.role == .unknown("poem"))
        #expect(try Manifest.decode(try manifest.encoded(), file: "m") == manifest)
    }

    @Test("is whole unless it lacks what the node has; earlier versions said only that it was left out") func whole()
        throws
    {
        var manifest = Self.example()
        #expect(manifest.isWhole)
        manifest.skipped.append(SkippedComponent(name: "etcd", reason: "left out as asked"))
        #expect(manifest.lacking.map(\.name) == ["etcd"])
        manifest.skipped = [SkippedComponent(name: "etcd", reason: "not asked for", makesPartial: false)]
        #expect(manifest.isWhole)
        manifest.skipped = [SkippedComponent(name: "images", reason: "no container runtime", makesPartial: true)]
        #expect(!manifest.isWhole)
        #expect(try Manifest.decode(try manifest.encoded(), file: "m") == manifest)
    }

    @Test(
        "has times that are read as times, and only such",
        arguments: [
            ("2026-11-21T02:37:05Z", 1_795_228_625), ("1970-01-01T00:00:00Z", 0), ("1969-12-31T23:59:59Z", -1),
            ("2000-02-29T12:00:00Z", 951_825_600), ("0000-01-01T00:00:00Z", -62_167_219_200),
        ]
    )
    func times(text: String, seconds: Int64) {
        var manifest = Self.example()
        manifest.createdAt = text
        #expect(manifest.taken == FileTime(seconds: seconds, nanoseconds: 0))
        for bad in ["", "2026-11-21", "2026-13-01T00:00:00Z", text + "x", "2026-11-21T02:37:05+"] {
            manifest.createdAt = bad
            #expect(manifest.taken == nil, "\(bad)")
        }
    }

    @Test("with keys of a later minor version is read") func unknownKeys() throws {
        let text = String(decoding: try Self.example().encoded(), as: UTF8.self)
        let extended = text.replacing("\"generation\" : 7", with: "\"colour\" : \"red\",\n  \"generation\" : 7")
        #expect(try decode(extended) == Self.example())
    }

    @Test(
        "that contradicts itself is damaged",
        arguments: [
            ("\"generation\" : 7", "\"generation\" : 0", "its generation is 0"),
            ("etc.tar.zst", "../etc.tar.zst", "names a file '../etc.tar.zst', which no component may have"),
            ("etc.tar.zst", "manifest.json", "names a file 'manifest.json', which no component may have"),
            ("etc.tar.zst", ".hidden", "names a file '.hidden', which no component may have"),
            ("etc.tar.zst", "etc.files.zst", "it lists the file 'etc.files.zst' twice"),
            ("\"size_bytes\" : 10", "\"size_bytes\" : -1", "'etc.tar.zst' has an invalid size"),
            ("abababab", "abababax", "'components[0].files[0].sha256' has an invalid value"),
            ("\"duration_seconds\" : 1.5", "\"duration_seconds\" : 1e300", "its duration is 1e+300 s"),
            ("\"generation\" : 7", "\"generation\" : 9223372036854775807", "its generation is 9223372036854775807"),
            ("\"generation\" : 7", "\"generation\" : 92233720368547758070", "it is not JSON"),
            ("\"format_version\" : 1", "\"format_version\" : 0", "its format version is 0"),
            ("\"source_bytes\" : 20", "\"source_bytes\" : -20", "component 'etc' has a negative size"),
            ("\"profile\" : \"kubeadm\",", "", "it has no 'profile'"),
            ("\"profile\" : \"kubeadm\"", "\"profile\" : 3", "'profile' is not of the right kind"),
        ]
    )
    func contradictions(_ old: String, _ new: String, _ reason: String) throws {
        let text = String(decoding: try Self.example().encoded(), as: UTF8.self)
        #expect(text.contains(old))
        let damaged = text.replacing(old, with: new, maxReplacements: 1)
        do {
            _ = try decode(damaged)
            Issue.record("it was read")
        } catch {
            #expect(error.summary.contains(reason), "\(error.summary)")
            #expect(error.exitStatus == .dataError)
        }
    }

    @Test("that is mutated 10 000 times never crashes its reader") func mutations() throws {
        let original = try Self.example().encoded()
        var random = SeededGenerator(seed: 42)
        var accepted = 0
        for _ in 0..<10_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 2: bytes.remove(at: place)
                default: bytes.insert(contentsOf: bytes[..<min(place, 9)], at: place)
                }
                if bytes.isEmpty { break }
            }
            if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 0...bytes.count, using: &random)) }
            // Whatever it is, it is read or refused.
            if (try? Manifest.decode(bytes, file: "m")) != nil { accepted += 1 }
        }
        #expect(accepted < 10_000)
    }
}
