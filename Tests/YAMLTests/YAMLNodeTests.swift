import TestSupport
import Testing
import YAML

@Suite("A YAML text") struct YAMLNodeTests {
    /// A static pod as kubeadm writes it, shortened.
    static let pod = """
        apiVersion: v1
        kind: Pod
        metadata:
          annotations:
            kubeadm.kubernetes.io/etcd.advertise-client-urls: https://127.0.0.1:2379
          creationTimestamp: null
          labels: {component: etcd, tier: "control-plane"}
        spec:
          containers:
          - command:
            - etcd
            - --listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1:2379
            - --snapshot-count=10000
            image: 'registry.k8s.io/etcd:3.5.1-0'
            livenessProbe:
              failureThreshold: 8
              httpGet: {host: 127.0.0.1, path: /health, port: 2381}
          hostNetwork: true
          volumes:
          - hostPath:
              path: /var/lib/etcd
              type: DirectoryOrCreate
            name: etcd-data
        status: {}
        """

    private func read(_ text: String) throws -> YAMLNode {
        try YAMLNode(reading: Array(text.utf8), name: "etcd.yaml")
    }

    private func fault(_ text: String) -> String? {
        do {
            _ = try read(text)
            return nil
        } catch {
            return "\(error)".replacing("could not read 'etcd.yaml' as YAML: ", with: "")
        }
    }

    @Test("is looked up by keys and indexes")
    func lookup() throws {
        let node = try read(Self.pod)
        let container = try #require(node["spec"]?["containers"]?[0])
        #expect(container["image"]?.string == "registry.k8s.io/etcd:3.5.1-0")
        #expect(container["command"]?.items.count == 3)
        #expect(container["command"]?[2]?.string == "--snapshot-count=10000")
        #expect(container["command"]?[3] == nil)
        #expect(container["livenessProbe"]?["httpGet"]?["port"]?.integer == 2381)
        #expect(node["spec"]?["hostNetwork"]?.bool == true)
        #expect(node["metadata"]?["creationTimestamp"]?.isNull == true)
        #expect(node["metadata"]?["creationTimestamp"]?.string == nil)
        #expect(node["metadata"]?["labels"]?["tier"]?.string == "control-plane")
        #expect(node["kind"]?["no"]?["such"] == nil)
        #expect(node["kind"]?[0] == nil)
        #expect(node.entries.map(\.key) == ["apiVersion", "kind", "metadata", "spec", "status"])
        #expect(container["image"]?.position.description == "14:12")
    }

    @Test("in JSON reads the same")
    func json() throws {
        let node = try read(
            """
            {"kind":"Pod","apiVersion":"v1","metadata":{"name":"etcd","uid":null,"labels":{"a\\/b":"\\u003cx\\u003e\\t\\"q\\""}},
            \t"spec":{"containers":[{"name":"etcd","args":["a","b: c","#d"]},{"name":"x"}],"priority":2000001000,"hostNetwork":true}}
            """
        )
        #expect(node["metadata"]?["labels"]?["a/b"]?.string == "<x>\t\"q\"")
        #expect(node["metadata"]?["uid"]?.isNull == true)
        #expect(node["spec"]?["containers"]?.items.compactMap { $0["name"]?.string } == ["etcd", "x"])
        #expect(node["spec"]?["containers"]?[0]?["args"]?[1]?.string == "b: c")
        #expect(node["spec"]?["priority"]?.integer == 2_000_001_000)
        #expect(node["spec"]?["hostNetwork"]?.bool == true)
    }

    @Test("keeps quoted text from turning into numbers, truth or nothing")
    func quoted() throws {
        let node = try read(#"["1", 'true', "", 'null', !!str 2]"#)
        #expect(node.items.count == 5)
        for item in node.items {
            #expect(item.integer == nil)
            #expect(item.bool == nil)
            #expect(!item.isNull)
            #expect(item.string != nil)
        }
        let blocks = try read("a: |\n  line\n  two\nb: >-\n  one\n  line\n")
        #expect(blocks["a"]?.string == "line\ntwo\n")
        #expect(blocks["b"]?.string == "one line")
    }

    @Test("of nothing is a null", arguments: ["", "\n# only a comment\n", "---\n", "--- ~\n...\n", "\u{FEFF}"])
    func empty(text: String) throws {
        #expect(try read(text).isNull)
    }

    @Test("is told where it is wrong")
    func positions() {
        #expect(fault("a: 1\nb: [1, 2\nc: 3\n") == "line 3, column 2: did not find expected ',' or ']'")
        #expect(fault("a: b: c\n") == "line 1, column 5: mapping values are not allowed in this context")
        #expect(fault("a: 1\n\tb: 2\n") == "line 2, column 1: found a tab character that violates indentation")
        #expect(fault("a: 1\na: 2\n") == "line 2, column 1: the key 'a' is there twice")
        #expect(fault("a: 1\n---\nb: 2\n") == "line 3, column 1: a second document, where one is expected")
        #expect(fault("? [a]\n: 1\n") == "line 1, column 3: a key that is not a scalar is not supported")
        #expect(fault("a: 1\n---\n") == nil)
    }

    @Test("that is not UTF-8 is told where")
    func notUTF8() {
        let error = #expect(throws: YAMLError.self) {
            try YAMLNode(reading: Array("a: 1\nb: ".utf8) + [0xFF, 0x0A], name: "x")
        }
        #expect(error?.position?.description == "2:4")
    }

    @Test("cannot grow: no aliases, no merge keys, no tags")
    func refused() {
        #expect(fault("a: &x [1]\nb: *x\n") == "line 2, column 4: an alias ('*name') is not supported")
        #expect(fault("a: &x [1]\n") == nil)
        #expect(fault("<<: {a: 1}\n") == "line 1, column 1: the merge key '<<' is not supported")
        #expect(fault("'<<': {a: 1}\n") == nil)
        #expect(fault("a: !!binary aGk=\n") == "line 1, column 4: the tag 'tag:yaml.org,2002:binary' is not supported")
        #expect(fault("a: !x {}\n") == "line 1, column 4: the tag '!x' is not supported")
    }

    @Test("is bounded in depth and size")
    func bounds() throws {
        let deepest = String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
        #expect(fault(deepest) == nil)
        let tooDeep = "line 1, column 101: collections lie deeper in each other than 100"
        #expect(fault("[\(deepest)]") == tooDeep)
        #expect(fault(String(repeating: "[", count: 100) + "{a: 1}" + String(repeating: "]", count: 100)) == tooDeep)
        #expect(fault(String(repeating: "[", count: 1_000_000)) != nil)
        #expect(fault(String(repeating: "- ", count: 1_000_000)) != nil)
        #expect(fault(String(repeating: "{a: ", count: 1_000_000)) != nil)
        #expect(fault(String(repeating: " ", count: YAMLParser.sizeLimit + 1)) == "it is longer than 8388608 bytes")
    }

    @Test("may hold several documents for who wants them")
    func documents() throws {
        let parser = try YAMLParser(Array("a: 1\n---\n- 2\n...\n---\n3\n".utf8), name: "x")
        #expect(try parser.nextDocument()?["a"]?.integer == 1)
        #expect(try parser.nextDocument()?[0]?.integer == 2)
        #expect(try parser.nextDocument()?.integer == 3)
        #expect(try parser.nextDocument() == nil)
        #expect(try parser.nextDocument() == nil)
    }

    @Test("that was damaged anywhere is read or refused, never worse", arguments: 0..<20)
    func mutations(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let original = Array(Self.pod.utf8)
        for _ in 0..<100 {
            var text = original
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                let place = Int.random(in: 0..<text.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: text[place] = UInt8.random(in: 0...255, using: &random)
                case 1:
                    text.insert(Array("[]{}:-#&*!|>'\"%@`,?\n\t \u{0}".utf8).randomElement(using: &random)!, at: place)
                case 2: text.removeSubrange(place..<min(text.count, place + Int.random(in: 1...20, using: &random)))
                default: text += text[place..<min(text.count, place + 200)]
                }
                if text.isEmpty { text = [0x20] }
            }
            do {
                let node = try YAMLNode(reading: text, name: "mutant")
                #expect(size(of: node) <= text.count + 1)
            } catch {
                #expect(error.position.map { $0.line >= 1 && $0.column >= 1 } ?? true)
                #expect(!error.reason.isEmpty)
            }
        }
    }

    private func size(of node: YAMLNode) -> Int {
        switch node.content {
        case .scalar: 1
        case .sequence(let items): items.reduce(1) { $0 + size(of: $1) }
        case .mapping(let entries): entries.reduce(1) { $0 + size(of: $1.value) }
        }
    }
}
