import Reporting
import TestSupport
import Testing

@Suite("Figures for node_exporter") struct MetricsTextTests {
    @Test("have help, type and values, in blocks") func blocks() throws {
        var metrics = MetricsText()
        metrics.add("a_bytes", "Some bytes.", 1_073_741_824)
        metrics.add("a_check", "Checks.", by: "check", [("x", 0), ("y \"\\\n", 2)])
        metrics.add("a_seconds", "Time.", 1.5)
        #expect(
            metrics.text == """
                # HELP a_bytes Some bytes.
                # TYPE a_bytes gauge
                a_bytes 1073741824
                # HELP a_check Checks.
                # TYPE a_check gauge
                a_check{check="x"} 0
                a_check{check="y \\"\\\\\\n"} 2
                # HELP a_seconds Time.
                # TYPE a_seconds gauge
                a_seconds 1.5

                """
        )
        #expect(try Exposition(metrics.text).values.count == 4)
    }

    @Test("of somebody else stay when they are others") func kept() {
        var old = MetricsText()
        old.add("p_a", "A.", 1)
        old.add("p_b", "B.", 2)
        old.add("q_c", "C.", 3)
        let read = MetricsText(reading: "junk\n" + old.text, prefix: "p_")
        var new = MetricsText()
        new.add("p_a", "A.", 9)
        new.keep(from: read)
        #expect(new.text.contains("p_a 9\n") && new.text.contains("p_b 2\n"))
        #expect(!new.text.contains("p_a 1") && !new.text.contains("q_c"))
    }

    @Test(
        "are refused by the strict reader when they are not well-formed",
        arguments: [
            "a 1", "# HELP a x\n# TYPE a gauge\na 1", "# HELP a x\na 1\n", "# HELP a x\n# TYPE a gauge\na one\n",
            "# HELP a x\n# TYPE a gauge\n1a 1\n", "# HELP a x\n# TYPE a gauge\na{b=c} 1\n",
            "# HELP a x\n# TYPE a gauge\na 1\na 2\n",
        ]
    )
    func strict(text: String) {
        #expect(throws: (any Error).self) { try Exposition(text) }
    }
}
