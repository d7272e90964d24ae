import TestSupport
import Testing

/// What a node was like when its recovery point was taken.
struct Before {
    var files: String
    var objects: String
    var deployment: String
}

extension Machine {
    /// Makes files that are not easy to copy, and objects, among them a pod that has mounts below `/var/lib/kubelet`.
    private func makeContents() throws {
        try output(
            """
            set -e
            for n in keep changed gone; do kubectl create configmap $n --from-literal=at=backup > /dev/null; done
            for i in $(seq 60); do kubectl get serviceaccount default > /dev/null 2>&1 && break; sleep 0.5; done
            kubectl apply -f - > /dev/null <<'T'
            apiVersion: v1
            kind: Pod
            metadata: {name: workload, namespace: default}
            spec:
              terminationGracePeriodSeconds: 1
              containers:
              - name: pause
                image: localhost/pause:test
                imagePullPolicy: Never
                volumeMounts: [{name: memory, mountPath: /memory}, {name: keep, mountPath: /keep}]
              volumes: [{name: memory, emptyDir: {medium: Memory}}, {name: keep, configMap: {name: keep}}]
            T
            kubectl wait --for=condition=Ready pod/workload --timeout=60s > /dev/null
            pod=/var/lib/kubelet/pods/$(kubectl get pod workload -o 'jsonpath={.metadata.uid}')
            echo 'held in memory only' > $pod/volumes/kubernetes.io~empty-dir/memory/secret
            ln /usr/local/bin/site-tool /usr/local/bin/site-tool-too
            truncate -s 8M /usr/local/mostly-hole
            printf one | dd of=/usr/local/mostly-hole conv=notrunc 2> /dev/null
            """
        )
    }

    /// Changes files, objects and a static pod as an upgrade does whose API server never becomes ready.
    private func changeEverything() throws {
        try output(
            """
            set -e
            echo 'site setting two' > /etc/site.conf
            echo new > /etc/left-by-the-upgrade.conf
            rm /etc/testbed.conf
            echo 'echo site tool two' > /usr/local/bin/site-tool
            chmod 600 /etc/hosts
            rm /usr/local/bin/site-tool-too
            echo 'echo site tool too' > /usr/local/bin/site-tool-too
            printf two | dd of=/usr/local/mostly-hole conv=notrunc 2> /dev/null
            echo 'what went wrong' > /usr/local/upgrade.log
            cat > /etc/kubernetes/manifests/upgrade-agent.yaml <<'T'
            apiVersion: v1
            kind: Pod
            metadata: {name: upgrade-agent, namespace: kube-system}
            spec:
              hostNetwork: true
              containers: [{name: upgrade-agent, image: "localhost/pause:test", imagePullPolicy: Never}]
            T
            kubectl delete configmap gone > /dev/null
            kubectl create configmap later --from-literal=at=upgrade > /dev/null
            kubectl patch configmap changed -p '{"data":{"at":"upgrade"}}' > /dev/null
            # What the upgrade has written, and how far a client outside the node has seen it.
            for n in $(seq 400); do
                printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: upgrade-%s, namespace: default}\n' $n
            done | kubectl create -f - > /dev/null
            kubectl get configmap upgrade-400 -o 'jsonpath={.metadata.resourceVersion}' > /var/lib/seen-by-a-client
            sed -i 's/--secure-port=6443/--no-such-option/' /etc/kubernetes/manifests/kube-apiserver*.yaml
            # OpenShift's rolls out a revision, and is cut.
            cd /etc/kubernetes/static-pod-resources 2> /dev/null || exit 0
            cp -a kube-apiserver-pod-1 kube-apiserver-pod-2
            touch kube-apiserver-pod-2/left-by-the-upgrade
            """
        )
    }

    /// Takes a recovery point, then upgrades the operating system, the files and the static pods so that the API server
    /// never becomes ready, and boots that.
    /// - Parameter backup: what takes the recovery point, as a command line.
    func failUpgrade(afterBackup backup: String = "node-backup create --quiet") throws -> Before {
        try waitUntilReady()
        try makeContents()
        try output(backup)
        let before = Before(
            files: try files(),
            objects: try objects(),
            deployment: try #require(try boots().last)
        )
        try changeEverything()
        guard kind != .plain else { return before }
        // The last of all: it takes /etc as it is now into the new deployment.
        try output("ostree admin deploy --os=node node/2.0 > /dev/null")
        try reboot()
        #expect(try output("testbed-version") == "2.0")
        return before
    }

    /// The node is as it was, is whole, and goes on.
    func expectRecovered(to before: Before, sourceLocation: SourceLocation = #_sourceLocation) throws {
        try waitUntilReady()
        #expect(try objects() == before.objects, sourceLocation: sourceLocation)
        #expect(try files() == before.files, sourceLocation: sourceLocation)
        #expect(try blocksOfHole() < 1000, sourceLocation: sourceLocation)
        #expect(try boots().last == before.deployment, sourceLocation: sourceLocation)
        #expect(try output("systemctl is-enabled kubelet") == "enabled", sourceLocation: sourceLocation)
        #expect(try output("ls /etc/kubernetes/manifests | wc -l") == "4", sourceLocation: sourceLocation)
        let members = try etcdctl("member list")
        #expect(
            members.split(separator: "\n").count == 1 && members.contains(" sno, "),
            "\(members)",
            sourceLocation: sourceLocation
        )
        // What runs, not only what the API has of it from before.
        try output("kubectl wait --for=condition=Ready pod/workload --timeout=60s > /dev/null")
        #expect(try run("upgrade-recovery --status").output.contains(", is done."), sourceLocation: sourceLocation)
        let left = try output("ls -A /var/lib/etcd /var/recovery /var/recovery/points; systemctl --failed --no-legend")
        for trace in [".node-recovery-", ".partial", "upgrade-recovery-resume"] {
            #expect(!left.contains(trace), "\(left)", sourceLocation: sourceLocation)
        }
        // The node goes on: it takes the next recovery point.
        try output("kubectl create configmap after-it > /dev/null && node-backup create --quiet")
    }

    /// Runs the recovery to its end as the runbook says: reboot when it asks, then --resume.
    func recover(with first: String) throws {
        var command = first
        for _ in 0..<6 {
            let result = try run(command, limitSeconds: 480)
            if result.status == 0 { return }
            try #require(result.status == 75 && result.output.contains("systemctl reboot"), "\(command): \(result)")
            try reboot()
            command = "upgrade-recovery --resume"
        }
        Issue.record("the recovery asks for reboots without end")
    }

    /// How many blocks of 512 bytes the file with a hole of 8 MiB takes.
    func blocksOfHole() throws -> Int {
        try #require(Int(try output("sync -f /usr/local/ && stat -c %b /usr/local/mostly-hole")))
    }

    /// What a client outside the node gets that has seen everything of the failed upgrade, and goes on watching
    /// configmaps from there, when one is created on the recovered node.
    func watchFromFailedState(limitSeconds: Int = 5) throws -> String {
        try output(
            """
            watch="watch=1&resourceVersion=$(cat /var/lib/seen-by-a-client)&timeoutSeconds=\(limitSeconds)"
            kubectl get --raw "/api/v1/namespaces/default/configmaps?$watch" 2>&1 &
            sleep 1
            kubectl create configmap watched > /dev/null
            wait
            """
        )
    }

    /// What etcd's own tool says of the node's member.
    func etcdctl(_ arguments: String) throws -> String {
        try output("ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 \(kind.etcdctlOptions) \(arguments)")
    }
}
