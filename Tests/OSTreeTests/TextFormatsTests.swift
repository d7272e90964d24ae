import SystemPackage
import Testing

@testable import OSTree

@Suite("The texts that ostree writes") struct TextFormatsTests {
    private let sum = String(repeating: "0123456789abcdef", count: 4)

    @Test("list deployments, however they are marked")
    func status() {
        let text = """
              practice \(sum).3 (staged)
                Version: 3.0
                origin refspec: practice/x86_64/stable
            * practice \(sum).0
                Version: * x \(sum).9
                Pinned: yes
              other \(sum).12 (rollback)
                Unlocked: hotfix
            """
        let listed = StatusText.deployments(in: text)
        #expect(listed.map(\.osName) == ["practice", "practice", "other"])
        #expect(listed.map(\.name.serial) == [3, 0, 12])
        #expect(StatusText.deployments(in: "No deployments.\n").isEmpty)
    }

    @Test("name deployments in one form only")
    func names() {
        #expect(DeploymentName("\(sum).7")?.description == "\(sum).7")
        for wrong in [
            sum, "\(sum).", "\(sum).-1", "\(sum).1.origin", "\(sum.dropLast()).1", "\(sum.uppercased()).1", "",
        ] {
            #expect(DeploymentName(wrong) == nil)
        }
        #expect(DeploymentName("\(sum).99999999999999999999") == nil)
    }

    @Test("hold values as GLib prints them")
    func variants() {
        #expect(VariantText.string("'1.0'\n") == "1.0")
        #expect(VariantText.string("\"it's\"\n") == "it's")
        #expect(VariantText.string("'a\\\\b\\'c'") == "a\\b'c")
        #expect(VariantText.string("uint32 5") == nil)
        #expect(VariantText.string("'") == nil)
        #expect(VariantText.string("") == nil)
    }

    @Test("say what a deployment follows and whether it is pinned")
    func origin() {
        let pinned = OriginFile(Array("[origin]\n refspec = a:b \n\n[libostree-transient]\npinned=true\n".utf8))
        #expect(pinned.source == "a:b")
        #expect(pinned.isPinned)
        let elsewhere = OriginFile(Array("[origin]\npinned=true\nbaserefspec=c\n#refspec=d\n[other]\nrefspec=e\n".utf8))
        #expect(elsewhere.source == "c")
        #expect(!elsewhere.isPinned)
        #expect(!OriginFile(Array("[libostree-transient]\npinned=false\n".utf8)).isPinned)
        #expect(OriginFile([0xFF, 0x00, 0x0A]).source == nil)
    }

    @Test("order boot entries by their version as a number")
    func bootEntries() {
        #expect(entry("10", "/a") > entry("9", "/b"))
        #expect(entry("1", "/b") > entry("1", "/a"))
        #expect(entry("1", "/b").options == ["a=1", "b", "ostree=/o"])
        #expect(entry("1", "/b").ostreeArgument == "/o")
        #expect(BootEntry(Array("options quiet\n".utf8), file: "/c").ostreeArgument == nil)
        #expect(BootEntry.split("a  \"b c\"=d \t e\n") == ["a", "\"b c\"=d", "e"])
    }

    private func entry(_ version: String, _ file: FilePath) -> BootEntry {
        BootEntry(Array("title x\nversion \(version)\noptions a=1\noptions b ostree=/o\n".utf8), file: file)
    }
}
