import SystemPackage
import TestSupport
import Testing

@Suite("Memory", .enabled(if: Tier.live.isWanted, Tier.live.comment)) struct MemoryTests {
    @Test(
        "does not grow with the node: 20 000 files and an etcd of 100 MB take less than 100 MiB, to back up and to verify"
    )
    func peak() throws {
        let node = try SmallNode(takesPoint: false)
        try Shell.output(
            """
            cd '\(node.root)/var/lib/kubelet'
            python3 -c '
            import os
            for d in range(100):
                os.mkdir(str(d))
                for f in range(200):
                    open(f"{d}/{f}", "w").write(f"file {f} of {d}\\n" * 10)
            '
            """
        )
        let etcd = try RunningEtcd(in: node.directory / "etcd")
        try Shell.output("head -c 1000000 /dev/urandom > '\(node.directory / "value")'")
        for number in 0..<100 { try etcd.etcdctl("put /large/\(number) < '\(node.directory / "value")'") }
        func peak(_ words: [String]) throws -> Int {
            let report = node.directory / "time"
            let result = try node.tool.run(
                "node-backup",
                words,
                under: ["python3", "-c", Self.measure, report.string]
            )
            #expect(result.status == 0, "\(result)")
            return Int(try Shell.output("cat '\(report)'").trimmed) ?? .max
        }
        let endpoint = ["--etcd-endpoint", "http://127.0.0.1:\(etcd.port)"]
        let create = try peak(node.words("create", endpoint))
        let second = try peak(node.words("create", endpoint))
        let verify = try peak(node.words("verify"))
        print("memory: create \(create >> 10) MiB, create again \(second >> 10) MiB, verify \(verify >> 10) MiB")
        #expect(max(create, second, verify) < 100 << 10)
    }

    /// Runs a command and writes its peak resident memory in KiB into the file that its first argument names.
    private static let measure = """
        import os, resource, subprocess, sys
        status = subprocess.call(sys.argv[2:])
        open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
        sys.exit(status)
        """
}
