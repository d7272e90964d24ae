import Bolt
import Etcd
import Reporting
import SystemPackage
import TestSupport
import Testing

/// How long the values of a snapshot are.
struct SizeDistribution: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let count: Int
    let size: @Sendable (_ number: Int, inout SeededGenerator) -> Int

    init(_ name: String, _ count: Int, _ range: ClosedRange<Int>) {
        self.init(name, count) { _, random in .random(in: range, using: &random) }
    }

    init(_ name: String, _ count: Int, _ size: @escaping @Sendable (Int, inout SeededGenerator) -> Int) {
        testDescription = name
        self.count = count
        self.size = size
    }

    /// A snapshot with that many changes.
    func build(seed: UInt64 = 3) -> SnapshotBuilder {
        var random = SeededGenerator(seed: seed)
        var builder = SnapshotBuilder()
        for number in 0..<count {
            let value = [UInt8](repeating: UInt8(number & 0x7F), count: size(number, &random))
            builder.change(Array("/registry/kind/namespace/name-\(number)".utf8), to: value, at: Int64(number + 2))
        }
        return builder
    }
}

@Suite("The size of what is restored") struct SnapshotSizeTests {
    static let distributions = [
        SizeDistribution("nothing", 0, 0...0),
        SizeDistribution("tiny values", 20_000, 10...60),
        SizeDistribution("100 to 300 bytes", 8_000, 100...300),
        SizeDistribution("500 to 1000 bytes", 4_000, 500...1000),
        SizeDistribution("1.2 to 1.5 KB", 3_000, 1200...1500),
        SizeDistribution("1.9 to 2.0 KB", 3_000, 1850...2000),
        SizeDistribution("2.1 to 3 KB", 2_000, 2100...3000),
        SizeDistribution("3.5 to 4.1 KB", 1_500, 3500...4100),
        SizeDistribution("4 to 6 KB", 1_500, 4000...6000),
        SizeDistribution("as Kubernetes has them, dense", 4_000) { number, random in
            switch number % 20 {
            case 0..<7: .random(in: 300...500, using: &random)  // leases
            case 7..<13: .random(in: 600...1000, using: &random)  // events
            case 13..<19: .random(in: 1800...6000, using: &random)  // pods, nodes
            default: .random(in: 8000...40_000, using: &random)  // secrets, configuration
            }
        },
        SizeDistribution("20 to 60 KB", 300, 20_000...60_000),
        SizeDistribution("0.5 to 1.4 MB", 20, 500_000...1_400_000),
    ]

    /// Bytes of a database file that are in use.
    private func size(of path: FilePath) throws -> Int64 {
        let file = try FileDescriptor.open(path, .readOnly)
        defer { try? file.close() }  // ignored: nothing was written
        guard case .file(let bolt) = try BoltFile.open(file, length: Int(file.stat().size), origin: .copy) else {
            throw Errno.invalidArgument
        }
        return Int64(bolt.meta.pageCount) * Int64(bolt.meta.pageSize)
    }

    @Test(
        "is never more than that of etcdutl's restore after the server has defragmented it, and 2 %",
        .enabled(if: Tier.live.isWanted, Tier.live.comment),
        arguments: distributions
    )
    func againstServer(distribution: SizeDistribution) throws {
        let bench = try RestoreBench()
        try distribution.build().write(to: bench.snapshot)
        let restored = try bench.restore()
        let tools = try EtcdVersion.v35.tools()
        let theirs = bench.directory / "theirs"
        try Shell.output(
            "mkdir '\(theirs)' && '\(tools)/etcdutl' snapshot restore '\(bench.snapshot)' --data-dir '\(theirs)/data' "
                + "--name node --initial-cluster node=http://127.0.0.1:1 "
                + "--initial-advertise-peer-urls http://127.0.0.1:1 2>&1"
        )
        let etcd = try RunningEtcd(in: theirs, tools: tools)
        try etcd.etcdctl("defrag")
        etcd.end()
        let defragmented = try size(of: theirs.appending("data/member/snap/db"))

        #expect(restored.databaseSizeBytes * 100 <= defragmented * 102)
    }

    @Test(
        "leaves the server room within a quota a tenth above the snapshot's own size",
        .enabled(if: Tier.live.isWanted, Tier.live.comment),
        arguments: EtcdVersion.allCases
    )
    func quota(version: EtcdVersion) throws {
        let bench = try RestoreBench()
        try SizeDistribution("1.9 to 2.0 KB", 3_000, 1850...2000).build().write(to: bench.snapshot)
        try bench.restore(to: bench.directory / "data")
        let quota = try size(of: bench.snapshot) / 10 * 11
        let etcd = try RunningEtcd(
            in: bench.directory.path,
            tools: version.tools(),
            options: "--quota-backend-bytes \(quota)"
        )
        for number in 0..<5 { try etcd.etcdctl("put /after/\(number) value") }
        #expect(try etcd.etcdctl("alarm list").isEmpty)
    }

    @Test("is known to the byte before anything is written", arguments: distributions)
    func forecast(distribution: SizeDistribution) throws {
        var bench = try RestoreBench()
        try distribution.build(seed: 4).write(to: bench.snapshot)
        let file = try FileDescriptor.open(bench.snapshot, .readOnly)
        defer { try? file.close() }  // ignored: nothing was written
        for bump: UInt64 in [0, 1_000_000_000] {
            bench.options.bumpRevision = bump
            bench.options.markCompacted = bump > 0
            let target = bench.directory / "bumped-by-\(bump)"
            let forecast = try SnapshotRestore(bench.options, cancellation: Cancellation()).forecast(file, named: "s")
            #expect(try bench.restore(to: target).databaseSizeBytes == forecast)
            #expect(try size(of: target.appending("member/snap/db")) == forecast)
        }
    }
}
