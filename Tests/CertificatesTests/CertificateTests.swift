import Certificates
import SystemPackage
import TestSupport
import Testing

@Suite("A certificate") struct CertificateTests {
    private func make(_ subject: String, begins: String, ends: String, in directory: TemporaryDirectory) throws
        -> [UInt8]
    {
        let text = try Shell.output(
            """
            cd '\(directory.path)'
            openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj '\(subject)' \
                -keyout key.pem -out request.pem 2> log
            mkdir -p ca && : > ca/index.txt && echo 01 > ca/serial
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=ca \
                -keyout ca/key.pem -out ca/ca.pem 2> log
            printf '[ca]\\ndefault_ca=c\\n[c]\\ndatabase=ca/index.txt\\nserial=ca/serial\\nnew_certs_dir=ca\\ndefault_md=sha256\\npolicy=p\\nunique_subject=no\\n[p]\\ncommonName=supplied\\norganizationName=optional\\n' > ca.cnf
            openssl ca -batch -config ca.cnf -cert ca/ca.pem -keyfile ca/key.pem -notext \
                -startdate \(begins) -enddate \(ends) -in request.pem -out certificate.pem 2> log || cat log >&2
            cat key.pem certificate.pem ca/ca.pem
            """
        )
        return Array(text.utf8)
    }

    @Test("tells its name and its dates, a private key in front of it and its authority behind it")
    func dates() throws {
        let directory = try TemporaryDirectory()
        let pem = try make(
            "/O=system:nodes/CN=system:node:sno-1",
            begins: "20250131120000Z",
            ends: "20260301235959Z",
            in: directory
        )
        let all = Certificate.all(inPEM: pem)
        #expect(all.map(\.commonName) == ["system:node:sno-1", "ca"])
        let first = try #require(all.first)
        #expect(Certificate.text(of: first.notBefore) == "2025-01-31 12:00:00 UTC")
        #expect(Certificate.text(of: first.notAfter) == "2026-03-01 23:59:59 UTC")
        #expect(first.notAfter == 1_772_409_599)
    }

    @Test("is not found in what is none, cut anywhere")
    func none() throws {
        #expect(Certificate.all(inPEM: []).isEmpty)
        #expect(
            Certificate.all(inPEM: Array("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".utf8)).isEmpty
        )
        let directory = try TemporaryDirectory()
        let pem = try make("/CN=a", begins: "20250131120000Z", ends: "20260301235959Z", in: directory)
        let whole = Certificate.all(inPEM: pem)
        for length in stride(from: 0, to: pem.count, by: 97) {
            #expect(whole.starts(with: Certificate.all(inPEM: Array(pem.prefix(length)))))
        }
    }
}
