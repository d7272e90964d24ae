import NodeInterface
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import ContainerRuntime

@Suite("A runtime like CRI-O") struct StandInTests {
    static let digest = "sha256:\(String(repeating: "d", count: 64))"
    static let image = StandInCRIO.Image(
        id: String(repeating: "1", count: 64),
        names: ["quay.io/x/etcd:3.5", "quay.io/x/etcd@\(digest)"]
    )
    static let damaged = StandInCRIO.Image(
        id: String(repeating: "2", count: 64),
        names: ["quay.io/x/broken:1"],
        isDamaged: true
    )

    private func runtime(_ crio: StandInCRIO) -> CRIRuntime {
        CRIRuntime(socket: crio.socket, limit: .seconds(10), cancellation: Cancellation())
    }

    @Test("that was killed and has left its socket is as missing as one without a socket")
    func stale() throws {
        let directory = try TemporaryDirectory()
        let crio = try StandInCRIO(in: directory.path, images: [Self.image])
        let runtime = runtime(crio)
        #expect(try runtime.runtime() == nil)
        #expect(try runtime.pods() == nil)
        try crio.start()
        #expect(try runtime.runtime() == "cri-o 1.30.14")
        #expect(try runtime.pods() == [])
        crio.kill()
        #expect(try Shell.run("test -S '\(crio.socket)'").status == 0)
        #expect(try runtime.runtime() == nil)
        #expect(try runtime.pods() == nil)
        #expect(try runtime.sandboxImage() == nil)
        #expect(try runtime.troubles(ofPod: "etcd", images: []) == [])
        // A call that needs one is an error that says so.
        let error = #expect(throws: CRIError.self) { try runtime.images() }
        #expect(error?.summary == "cannot connect to 'unix://\(crio.socket)': Connection refused")
    }

    @Test("is looked for at the other sockets when one that is gone has left the first")
    func twoSockets() throws {
        let directory = try TemporaryDirectory()
        let other = try TemporaryDirectory()
        let gone = try StandInCRIO(in: directory.path)
        try gone.start()
        gone.kill()
        let crio = try StandInCRIO(in: other.path)
        try crio.start()
        let runtime = CRIRuntime(sockets: [gone.socket, crio.socket], cancellation: Cancellation())
        #expect(try runtime.runtime() == "cri-o 1.30.14")
        #expect(runtime.socket == crio.socket)
    }

    @Test("keeps its images over a clean stop, and loses them when it was killed")
    func wipe() throws {
        let directory = try TemporaryDirectory()
        let crio = try StandInCRIO(in: directory.path, images: [Self.image])
        try crio.start()
        try crio.stop()
        try crio.start()
        #expect(try runtime(crio).image(named: "quay.io/x/etcd:3.5") != nil)
        crio.kill()
        try crio.start()
        #expect(try runtime(crio).image(named: "quay.io/x/etcd:3.5") == nil)
    }

    @Test("can be asked for one image although the record of another is damaged")
    func damagedRecord() throws {
        let directory = try TemporaryDirectory()
        let crio = try StandInCRIO(in: directory.path, images: [Self.image, Self.damaged])
        try crio.start()
        let runtime = runtime(crio)
        let list = #expect(throws: CRIError.self) { try runtime.images() }
        #expect(
            list?.summary
                == "the container runtime at '\(crio.socket)' cannot list its images: UNKNOWN: file does not exist"
        )
        #expect(try runtime.image(named: "quay.io/x/etcd:3.5")?.id == Self.image.id)
        #expect(try runtime.image(named: "quay.io/x/etcd:3.5@\(Self.digest)")?.id == Self.image.id)
        #expect(try runtime.image(named: "sha256:\(Self.image.id)")?.id == Self.image.id)
        #expect(try runtime.image(named: "quay.io/x/none") == nil)
        let one = #expect(throws: CRIError.self) { try runtime.image(named: "quay.io/x/broken:1") }
        #expect(one?.summary.contains("cannot read the image 'quay.io/x/broken:1'") == true)
    }

    @Test("says which image its sandboxes have")
    func sandboxImage() throws {
        let directory = try TemporaryDirectory()
        let crio = try StandInCRIO(in: directory.path)
        try crio.start()
        #expect(
            try runtime(crio).sandboxImage() == SandboxImage(name: "r.example/pause:9", source: .runtime)
        )
    }

    @Test("whose pod does not end although it is killed is told from one that refuses")
    func stuck() throws {
        let directory = try TemporaryDirectory()
        let crio = try StandInCRIO(in: directory.path)
        crio.put(sandboxes: [("p1", "etcd-node"), ("p2", "other-node")])
        crio.sticks("p1")
        try crio.start()
        let runtime = runtime(crio)
        #expect(throws: StuckPod(id: "p1", action: "remove", limit: .milliseconds(200))) {
            try runtime.removePod("p1", limit: .milliseconds(200))
        }
        try runtime.removePod("p2", limit: .seconds(10))
        #expect(try runtime.pods()?.map(\.id) == ["p1"])
    }
}

@Suite("The name of an image") struct ImageReferenceTests {
    static let digest = "sha256:\(String(repeating: "d", count: 64))"

    @Test(
        "is known in every form in which runtimes list it",
        arguments: [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.2", "docker.io/library/nginx:1.2"),
            ("me/app", "docker.io/me/app:latest"),
            ("localhost/app:1", "localhost/app:1"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
            ("r.example:5000/a/b:1.2", "r.example:5000/a/b:1.2"),
            ("r.example/a@\(digest)", "r.example/a@\(digest)"),
            ("r.example:5000/a:1.2@\(digest)", "r.example:5000/a@\(digest)"),
            ("nginx:1@\(digest)", "docker.io/library/nginx@\(digest)"),
            (digest, digest),
        ]
    )
    func canonical(text: String, canonical: String) {
        #expect(ImageReference(text).canonical == canonical)
    }

    @Test("with a tag and a digest means the digest, and never another image that has the tag")
    func digestDecides() {
        func image(tags: [String], digests: [String]) -> ContainerImage {
            ContainerImage(id: "sha256:aa", tags: tags, digests: digests, sizeBytes: 0, isPinned: false, usedBy: [])
        }
        let wanted = ImageReference("r.example/a:1@\(Self.digest)")
        #expect(image(tags: [], digests: ["r.example/a@\(Self.digest)"]).matches(wanted))
        #expect(image(tags: ["r.example/a:1@\(Self.digest)"], digests: []).matches(wanted))
        #expect(!image(tags: ["r.example/a:1"], digests: ["r.example/a@sha256:ee"]).matches(wanted))
        #expect(image(tags: ["docker.io/library/nginx:latest"], digests: []).matches(ImageReference("nginx")))
        #expect(image(tags: [], digests: []).matches(ImageReference("sha256:aa")))
    }

    @Test("survives every text", arguments: ["", "@", ":", "/", "a:", "@sha256:", "a/b:c/d:e@f@g", "sha256:"])
    func junk(text: String) {
        #expect(!ImageReference(text).forms.isEmpty)
    }
}

@Suite("The image of the sandboxes") struct ConfiguredImageTests {
    @Test("is found in what runtimes say and in their files")
    func found() {
        #expect(ConfiguredImage.name(inStatus: #"{"a":1,"sandboxImage":"r/pause:3.6","b":2}"#) == "r/pause:3.6")
        #expect(ConfiguredImage.name(inStatus: #"{"sandboxImage": "", "b":2}"#) == nil)
        #expect(ConfiguredImage.name(inStatus: "[crio.image]\n    pause_image = \"r/pause:9\"\n") == "r/pause:9")
        #expect(
            ConfiguredImage.name(inFile: "[plugins.\"io.containerd.grpc.v1.cri\"]\n  sandbox_image = 'r/p:1' # x\n")
                == "r/p:1"
        )
        let two = """
            [plugins.'io.containerd.cri.v1.images']
              [plugins.'io.containerd.cri.v1.images'.pinned_images]
                sandbox = 'r/p:2'
              [plugins.'io.containerd.cri.v1.runtime']
                sandbox = 'other'
            """
        #expect(ConfiguredImage.name(inFile: two) == "r/p:2")
        #expect(ConfiguredImage.name(inFile: "# pause_image = \"r/p:0\"\n#sandbox_image = \"x\"\n") == nil)
    }

    @Test("is the one that the version takes by itself when nothing names one")
    func builtIn() {
        #expect(ConfiguredImage.builtIn(of: "containerd 1.6.20~ds1") == "registry.k8s.io/pause:3.6")
        #expect(ConfiguredImage.builtIn(of: "containerd v1.7.29") == "registry.k8s.io/pause:3.8")
        #expect(ConfiguredImage.builtIn(of: "containerd v2.1.0") == "registry.k8s.io/pause:3.10")
        #expect(ConfiguredImage.builtIn(of: "cri-o 1.30.14") == "registry.k8s.io/pause:3.9")
        #expect(ConfiguredImage.builtIn(of: "other 9.9") == nil)
        #expect(ConfiguredImage.builtIn(of: "containerd") == nil)
        #expect(ConfiguredImage.builtIn(of: "containerd x.y") == nil)
    }
}

@Suite("The last words of a container") struct TroubleTests {
    @Test("are the last line of its log that says something, without what a terminal would obey")
    func lastLine() {
        let log = """
            2026-01-01T00:00:00.1Z stdout F starting
            2026-01-01T00:00:00.2Z stderr F panic: \u{1B}[31mno such file\u{7}
            2026-01-01T00:00:00.3Z stderr F \u{20}
            2026-01-01T00:00
            """
        #expect(CRIRuntime.lastLine(ofLog: Array(log.utf8)) == "panic:  [31mno such file ")
        #expect(CRIRuntime.lastLine(ofLog: Array("".utf8)) == nil)
        #expect(CRIRuntime.lastLine(ofLog: [0xFF, 0xFE, 10, 32, 32, 32, 32]) == nil)
    }

    @Test("read as a sentence of the wait")
    func text() {
        func trouble(_ reason: ContainerTrouble.Reason, starts: Int = 1, isRunning: Bool = false, line: String? = nil)
            -> String
        {
            ContainerTrouble(
                pod: "etcd-node",
                container: "etcd",
                reason: reason,
                starts: starts,
                isRunning: isRunning,
                lastLine: line
            ).text
        }
        #expect(
            trouble(.exited(status: 1, word: nil), starts: 4, line: "bind: address already in use")
                == "container etcd exited 1, 4 times: bind: address already in use"
        )
        #expect(
            trouble(.exited(status: 137, word: "OOMKilled"), isRunning: true)
                == "container etcd exited 137 (OOMKilled), and is running again"
        )
        #expect(trouble(.imageMissing("r/etcd:1")) == "image 'r/etcd:1' is missing")
        #expect(trouble(.notStarted("exec: no such file")) == "container etcd did not start: exec: no such file")
        #expect(trouble(.noSandbox) == "pod etcd-node has no sandbox: the kubelet has not started it")
        #expect(trouble(.notCreated) == "no container of pod etcd-node was created")
    }
}
