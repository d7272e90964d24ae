import TestSupport
import Testing

extension RealNode {
    /// OpenShift's places, names and API objects on a real node; its operators are stood in for by a script that really
    /// rolls static pods out.
    @Suite("A node laid out as OpenShift's") struct OpenShiftLayoutTests {
        private static let operands = [
            ("etcds", "etcd"), ("kubeapiservers", "kube-apiserver"),
            ("kubecontrollermanagers", "kube-controller-manager"), ("kubeschedulers", "kube-scheduler"),
        ]

        /// A fact of an operand's operator.
        private func fact(_ path: String, of plural: String, _ machine: Machine) throws -> String {
            try machine.output("kubectl get \(plural).operator.openshift.io cluster -o 'jsonpath={\(path)}'")
        }

        @Test("comes back, has its static pods rolled out anew, and gets the certificate that its kubelet asks for")
        func comesBack() throws {
            let machine = try Machine(.openshift)
            try machine.waitUntilReady()
            try machine.output("for i in $(seq 60); do kubectl get clusteroperator dns && break; sleep 1; done")
            let pending = try machine.output("kubectl get csr -o 'jsonpath={.items[*].status.conditions}'")
            #expect(pending.isEmpty, "somebody decides on requests already: \(pending)")
            let before = try machine.failUpgrade()
            let point = try machine.output("node-backup show --json")
            #expect(try JSON(parsing: point)["profile"].text == "openshift")
            let begun = "/etc/kubernetes/static-pod-resources/kube-apiserver-pod-2"
            try machine.output("ls \(begun)/left-by-the-upgrade")

            let first = ContinuousClock.now
            try machine.recover(with: "upgrade-recovery")
            Measured.say("first command to all operators settled", ContinuousClock.now - first)
            for (plural, pod) in Self.operands {
                let reason = try fact(".spec.forceRedeploymentReason", of: plural, machine)
                #expect(reason.hasPrefix("recovery-") && reason.hasSuffix("-of-revision-1"), "\(reason)")
                #expect(try fact(".status.latestAvailableRevision", of: plural, machine) == "2")
                #expect(try fact(".status.nodeStatuses[0].currentRevision", of: plural, machine) == "2")
                let manifest = "/etc/kubernetes/manifests/\(pod)-pod.yaml"
                #expect(try machine.output("grep -c static-pod-resources/\(pod)-pod-2 \(manifest)") == "1")
            }
            // The operators have written over the revision that the upgrade began; they remove nothing.
            #expect(try machine.output("ls \(begun)") == "configmaps\nkube-apiserver-pod.yaml")
            // One after the other, as each waits for what the one before serves.
            let rolledOut = try machine.output("journalctl -b -u openshift-operators -o cat | grep ': revision 2'")
            #expect(rolledOut == Self.operands.map { "\($0.1): revision 2" }.joined(separator: "\n"))
            let requests = try machine.output(
                """
                kubectl get csr -o 'jsonpath={range .items[*]}{.spec.signerName} {.status.conditions[*].reason} \
                {.status.certificate}{"\\n"}{end}'
                """
            )
            #expect(requests.contains("kubernetes.io/kubelet-serving NodeRecovery LS0t"), "\(requests)")
            try machine.output("openssl x509 -noout -in /var/lib/kubelet/pki/kubelet-server-current.pem")
            try machine.expectRecovered(to: before)
        }
    }
}
