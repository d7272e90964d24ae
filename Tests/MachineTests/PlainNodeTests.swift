import TestSupport
import Testing

extension RealNode {
    @Suite("A node of kubeadm without ostree") struct PlainNodeTests {
        @Test("comes back with one reboot, and with none when only the cluster has changed")
        func withoutOSTree() throws {
            let machine = try Machine(.plain)
            let before = try machine.failUpgrade()
            let first = try machine.run("upgrade-recovery")
            #expect(first.status == 75, "\(first)")
            #expect(first.output.contains("deployment: skipped, "), "\(first)")
            #expect(first.output.contains("paused for a reboot: services are still running on files"), "\(first)")
            try machine.reboot()
            let second = try machine.run("upgrade-recovery --resume", limitSeconds: 240)
            #expect(second.status == 0, "\(second)")
            try machine.expectRecovered(to: before)

            // Its newest recovery point was taken just now: of the files nothing has changed since.
            let boots = try machine.boots().count
            try machine.output("kubectl delete configmap keep > /dev/null; kubectl delete pod workload > /dev/null")
            let cluster = try machine.run("upgrade-recovery", limitSeconds: 240)
            #expect(cluster.status == 0, "\(cluster)")
            #expect(cluster.output.contains("reboot: skipped, no file has changed"), "\(cluster)")
            #expect(try machine.boots().count == boots)
            try machine.output("kubectl delete configmap after-it > /dev/null")
            try machine.expectRecovered(to: before)
        }
    }
}
