internal import CTLS
internal import FoundationEssentials
internal import NodeInterface

/// A `CertificateSigningRequest` as far as it decides whether it is one of a node.
struct CertificateRequest: Decodable {
    struct Metadata: Decodable {
        var name: String
    }
    struct Spec: Decodable {
        /// The request, PKCS#10 in PEM, in base64 once more.
        var request: String
        var signerName: String
        var username: String?
    }
    struct Status: Decodable {
        var conditions: [Condition]?
    }
    struct Condition: Decodable {
        var type: String
    }

    var metadata: Metadata
    var spec: Spec
    var status: Status?

    static let clientSigner = "kubernetes.io/kube-apiserver-client-kubelet"
    static let servingSigner = "kubernetes.io/kubelet-serving"
    /// Who asks for a node that has no certificate yet: the machine config server's account, or a bootstrap token.
    static let bootstrapper = "system:serviceaccount:openshift-machine-config-operator:node-bootstrapper"
    static let bootstrapTokens = "system:bootstrap:"

    /// Whether nobody has decided on it.
    var isPending: Bool {
        !(status?.conditions ?? []).contains { ["Approved", "Denied", "Failed"].contains($0.type) }
    }

    /// What an operator has to know about it.
    var summary: PendingCertificateRequest {
        PendingCertificateRequest(name: metadata.name, signer: spec.signerName, requester: spec.username ?? "")
    }

    /// Whether it is one that the kubelet of `node` makes: by itself for one of its two certificates, or for its first
    /// one by a bootstrapper, and in each case for the node's own name and group and nothing else.
    ///
    /// Source: `pkg/apis/certificates/helpers.go` of Kubernetes, `IsKubeletClientCSR`, `IsKubeletServingCSR`.
    func isOf(node: String) -> Bool {
        let name = "system:node:\(node)"
        let requester = spec.username ?? ""
        let isBootstrapped = requester == Self.bootstrapper || requester.hasPrefix(Self.bootstrapTokens)
        switch spec.signerName {
        case Self.clientSigner: guard requester == name || isBootstrapped else { return false }
        case Self.servingSigner: guard requester == name else { return false }
        default: return false
        }
        guard let data = Data(base64Encoded: spec.request, options: .ignoreUnknownCharacters),
            let subject = RequestSubject(pem: Array(data))
        else { return false }
        return subject.commonNames == [name] && subject.organizations == ["system:nodes"]
    }
}

/// For whom a PKCS#10 request asks a certificate.
struct RequestSubject: Equatable {
    let commonNames: [String]
    let organizations: [String]

    /// Reads the request; `nil` when there is none, or its key did not sign it.
    init?(pem: [UInt8]) {
        defer { ERR_clear_error() }
        guard let memory = BIO_new(BIO_s_mem()) else { return nil }
        defer { BIO_free(memory) }
        guard !pem.isEmpty, BIO_write(memory, pem, Int32(clamping: pem.count)) == pem.count,
            let request = PEM_read_bio_X509_REQ(memory, nil, nil, nil)
        else { return nil }
        defer { X509_REQ_free(request) }
        guard let key = X509_REQ_get0_pubkey(request), X509_REQ_verify(request, key) == 1,
            let name = X509_REQ_get_subject_name(request)
        else { return nil }
        commonNames = Self.values(NID_commonName, of: name)
        organizations = Self.values(NID_organizationName, of: name)
    }

    private static func values(_ kind: Int32, of name: OpaquePointer) -> [String] {
        var values = [String]()
        var index = X509_NAME_get_index_by_NID(name, kind, -1)
        while index >= 0 {
            var bytes: UnsafeMutablePointer<UInt8>?
            let entry = X509_NAME_get_entry(name, index)
            let count = ASN1_STRING_to_UTF8(&bytes, X509_NAME_ENTRY_get_data(entry))
            // What cannot be read is none of the names that are looked for.
            values.append(
                count < 0 ? "" : String(decoding: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
            )
            if let bytes { CTLS_free(bytes) }
            index = X509_NAME_get_index_by_NID(name, kind, index)
        }
        return values
    }
}
