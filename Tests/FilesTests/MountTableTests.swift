import Testing

@testable import Files

@Suite("The mount table") struct MountTableTests {
    let table = MountTable(
        text: Array(
            #"""
            29 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
            40 29 0:30 / /var/lib/a\040b\134 rw shared:7 master:2 - nfs4 server:/export\0401 rw,vers=4
            41 29 0:31 / /var/lib/tmp rw - tmpfs tmpfs rw
            42 41 0:32 / /var/lib/tmp/inner rw - tmpfs secret rw
            a line that the kernel would not write
            43 29 0:33 / /short rw
            """#.utf8
        )
    )

    @Test("knows what is mounted in a directory, blanks and backslashes undone")
    func names() {
        let mounts = table.mounts(in: "var/lib", of: 29)
        #expect(mounts.count == 2)
        #expect(mounts[Array("a b\\".utf8)] == MountTable.Mount(type: "nfs4", source: "server:/export 1"))
        #expect(mounts[Array("tmp".utf8)] == MountTable.Mount(type: "tmpfs", source: "tmpfs"))
        #expect(table.mounts(in: .root, of: 29).isEmpty)
    }

    @Test("does not take a mount that another one hides for one of the directory that is seen")
    func hidden() {
        #expect(table.mounts(in: "var/lib/tmp", of: 41).count == 1)
        #expect(table.mounts(in: "var/lib/tmp", of: 29).isEmpty)
    }
}
