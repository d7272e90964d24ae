import SystemPackage
import TestSupport
import Testing

extension RealNode {
    /// The image of scripts/make-image and the manifests of packaging/kubernetes, by the real API server, controllers,
    /// kubelet and containerd.
    @Suite("The backup as a Kubernetes Job") struct JobTests {
        private static let project =
            FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()

        /// A node that has the image and the manifests, at `/run/testbed`.
        private func machine() throws -> Machine {
            let machine = try Machine()
            let scratch = try TemporaryDirectory()
            let program = try Tool(in: scratch).program
            try Shell.output("'\(Self.project)/scripts/make-image' --program '\(program)' '\(scratch.path)'")
            try machine.bring(
                file: FilePath(try Shell.output("ls '\(scratch.path)'/*.oci.tar").trimmed),
                as: "image.tar"
            )
            for name in ["rbac", "openshift-scc", "job", "cronjob", "job-as-talm"] {
                try machine.bring(file: Self.project.appending("packaging/kubernetes/\(name).yaml"), as: "\(name).yaml")
            }
            // As an operator does it who has no registry.
            try machine.output("ctr -n k8s.io images import /run/testbed/image.tar")
            return machine
        }

        @Test("takes a recovery point that brings its node back, in our shape and TALM's; is no success without one")
        func job() throws {
            let machine = try machine()
            try machine.waitUntilReady()
            try expectRecoveryPoints(on: machine)
            try expectNoSuccess(on: machine)
            try expectRecovery(on: machine)
        }

        /// By hand, as TALM does it, and by the clock's Job: points 1, 3 and 4.
        private func expectRecoveryPoints(on machine: Machine) throws {
            try machine.output(
                """
                set -e
                cd /run/testbed
                kubectl create configmap keep --from-literal=at=backup
                kubectl apply -f rbac.yaml
                for file in job openshift-scc; do kubectl apply --dry-run=server -f $file.yaml; done
                # This cluster is older than the version 1 of CronJobs.
                sed 's,^apiVersion: batch/v1$,apiVersion: batch/v1beta1,' cronjob.yaml | kubectl apply -f -
                kubectl apply -f job.yaml
                """
            )
            let first = try machine.endOfJob("node-backup")
            try expectComplete(first, generation: 1)
            #expect(!first.log.contains("warning") && first.log.contains("Recovery point 1 is in"), "\(first)")
            #expect(try machine.output("ostree admin status").contains("Pinned: yes"))

            // Every byte is good; and nothing has changed, but for what the kubelet had on disk for the Job's own pod.
            try machine.output("node-backup verify 1")
            let changes = try machine.output(
                "node-backup diff 1 | grep -v '/var/lib/kubelet/pods/\(first.pod)' || true"
            )
            #expect(changes.isEmpty || changes == "Nothing has changed.", "\(changes)")
            let manifest = try JSON(parsing: try machine.output("node-backup show 1 --json"))
            #expect(manifest["node"]["name"].text == "sno")
            #expect(manifest["components"].items.count == 7, "\(manifest["components"].items.map { $0["name"] })")
            // On the host the same is found as from the pod.
            try machine.output("node-backup create --quiet")
            let free = try JSON(parsing: try machine.output("node-backup show 2 --json"))
            for key in ["name", "left_out", "unreadable"] {
                #expect(
                    manifest["components"].items.map { $0[key] } == free["components"].items.map { $0[key] },
                    "\(key)"
                )
            }

            // A directory that every node of OpenShift has, in a tree that is read-only.
            try machine.output(
                """
                set -e
                mkdir /run/upper /run/work
                mount -t overlay -o lowerdir=/usr/share,upperdir=/run/upper,workdir=/run/work overlay /usr/share
                mkdir /usr/share/containers
                kubectl apply -f /run/testbed/job-as-talm.yaml
                """
            )
            let talm = try machine.endOfJob("backup-agent", namespace: "openshift-talo-backup")
            try expectComplete(talm, generation: 3)
            // It has a terminal, but nobody watches it.
            #expect(!talm.log.contains("warning") && !talm.log.contains("\u{1B}"), "\(talm)")

            try machine.output("kubectl create job -n node-recovery --from=cronjob/node-backup now")
            try expectComplete(try machine.endOfJob("now"), generation: 4)
            #expect(try machine.output("ls /var/recovery/points | tr '\\n' ' '") == "3 4")
        }

        /// Another one runs, the time is over, a recovery is under way.
        private func expectNoSuccess(on machine: Machine) throws {
            // A backup that takes minutes, and a Job that has 15 s for it.
            try machine.output(
                """
                set -e
                kubectl delete job -n node-recovery node-backup > /dev/null
                mkdir -p /etc/node-recovery
                printf 'level = 19\\njobs = 1\\n' > /etc/node-recovery/config.toml
                seq 30000000 > /usr/local/much
                sed 's/activeDeadlineSeconds: 480/activeDeadlineSeconds: 15/' /run/testbed/job.yaml | kubectl apply -f -
                """
            )
            try machine.waitForState("Active")
            try machine.output(
                "sed '0,/^  name: node-backup$/s//  name: second/' /run/testbed/job.yaml | kubectl apply -f -"
            )
            let second = try machine.endOfJob("second")
            try expectFailed(second, 75, "UnrecoverableError")
            let why = second.message["error"]["summary"].text ?? ""
            #expect(why.contains("another run is working in '/var/recovery': node-backup create"), "\(second)")
            #expect(why.contains("(process 1 of a container, since "), "\(second)")
            let late = try machine.endOfJob("node-backup")
            #expect(late.condition == "Failed" && late.reason == "DeadlineExceeded", "\(late)")
            // The Job's controller has deleted the pod; what became of the run is told on the node.
            try machine.waitForState("BackupTimeout")
            #expect(try machine.output("jq .error.exit_status /var/recovery/status.json") == "75")

            // With a limit of its own the program ends before the Job does, and the pod stays to tell it.
            try machine.output(
                """
                set -e
                echo 'timeout = "3s"' >> /etc/node-recovery/config.toml
                kubectl delete job -n node-recovery node-backup second > /dev/null
                kubectl apply -f /run/testbed/job.yaml
                """
            )
            try expectFailed(try machine.endOfJob("node-backup"), 75, "BackupTimeout")

            try machine.output("rm -r /etc/node-recovery /usr/local/much && kubectl delete configmap keep")
            let step = try machine.run("upgrade-recovery --step")
            #expect(step.status == 75 && step.output.contains("paused before the phase 'files'"), "\(step)")
            try machine.output("kubectl replace --force -f /run/testbed/job.yaml")
            try expectFailed(try machine.endOfJob("node-backup"), 79, "UnrecoverableError")
            // The recovery points from before are all there is, and the one to go back to is as it was.
            #expect(try machine.output("ls -A /var/recovery/points | tr '\\n' ' '") == "3 4")
            try machine.output("node-backup verify 4")
        }

        /// Back to what the last Job has taken, in the middle of which that Job was running.
        private func expectRecovery(on machine: Machine) throws {
            try machine.recover(with: "upgrade-recovery --resume")
            try machine.waitUntilReady()
            #expect(try machine.output("kubectl get configmap keep -o 'jsonpath={.data.at}'") == "backup")
            // It runs once more: during the recovery in vain, afterwards it takes another recovery point.
            let again = try machine.endOfJob("now", limitSeconds: 110)
            if again.condition == "Complete" {
                try expectComplete(again, generation: 6)
            } else {
                // Status 75 while 'upgrade-recovery' itself works.
                try expectFailed(again, again.exitStatus == 75 ? 75 : 79, "UnrecoverableError")
            }
            #expect(try machine.run("upgrade-recovery --status").output.contains(", is done."))
        }

        private func expectComplete(
            _ end: Machine.JobEnd,
            generation: Int64,
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            try #require(end.condition == "Complete", "\(end)", sourceLocation: sourceLocation)
            #expect(end.exitStatus == 0, "\(end)", sourceLocation: sourceLocation)
            #expect(end.message["state"].text == "Succeeded", "\(end)", sourceLocation: sourceLocation)
            #expect(end.message["generation"].integer == generation, "\(end)", sourceLocation: sourceLocation)
        }

        private func expectFailed(
            _ end: Machine.JobEnd,
            _ status: Int64,
            _ state: String,
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            try #require(end.condition == "Failed", "\(end)", sourceLocation: sourceLocation)
            #expect(end.reason == "BackoffLimitExceeded", "\(end)", sourceLocation: sourceLocation)
            #expect(end.exitStatus == status, "\(end)", sourceLocation: sourceLocation)
            #expect(end.message["state"].text == state, "\(end)", sourceLocation: sourceLocation)
            #expect(end.message["error"]["exit_status"].integer == status, "\(end)", sourceLocation: sourceLocation)
        }
    }
}

extension Machine {
    /// How a Job ended, as the API tells it.
    struct JobEnd: CustomStringConvertible {
        /// `Complete` or `Failed`.
        var condition: String
        var reason: String
        /// The pod's uid; empty when it was deleted.
        var pod: String
        var exitStatus: Int64?
        /// The container's termination message; `null` when it is not JSON.
        var message: JSON
        /// What the container printed, as it lies on the node.
        var log: String
        var description: String { "\(condition) \(reason), status \(exitStatus ?? -1)\n\(message)\n\(log)" }
    }

    /// Waits for the end of a Job.
    func endOfJob(_ name: String, namespace: String = "node-recovery", limitSeconds: Int = 60) throws -> JobEnd {
        let job = try run(
            """
            for i in $(seq \(limitSeconds * 4)); do
                kubectl get job -n \(namespace) \(name) -o json | jq -r '.status.conditions[0] | .type, .reason' \
                    | grep -v null && exit 0
                sleep 0.25
            done
            kubectl describe pods -n \(namespace) -l job-name=\(name)
            exit 1
            """,
            limitSeconds: 2 * limitSeconds + 30
        )
        try #require(job.status == 0, "\(name): \(job)")
        let words = job.output.trimmed.split(separator: "\n").map { String($0) }
        // By the Job's uid: a pod of an earlier Job of this name may still be ending.
        let found = try output(
            """
            uid=$(kubectl get job -n \(namespace) \(name) -o 'jsonpath={.metadata.uid}')
            kubectl get pods -n \(namespace) -l "controller-uid=$uid" -o json
            """
        )
        let pod = try JSON(parsing: found)["items"][0]
        let ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        return JobEnd(
            condition: words.first ?? "",
            reason: words.dropFirst().first ?? "",
            pod: pod["metadata"]["uid"].text ?? "",
            exitStatus: ended["exitCode"].integer,
            message: (try? JSON(parsing: ended["message"].text ?? "")) ?? .null,
            log: try output("cat /var/log/pods/\(namespace)_\(name)-*/*/*.log 2> /dev/null || true")
        )
    }

    /// Waits until the run on the node says that it is in this state.
    func waitForState(_ state: String) throws {
        let result = try run(
            """
            for i in $(seq 300); do
                jq -r .state /var/recovery/status.json | grep -qx \(state) && exit 0
                sleep 0.1
            done
            cat /var/recovery/status.json
            exit 1
            """
        )
        try #require(result.status == 0, "\(result)")
    }
}
