import SystemPackage
import TestSupport
import Testing
import YAML

@testable import node_recovery

/// What can be seen without a cluster; that a real API server takes them is shown on the real node (JobTests).
@Suite("The Kubernetes manifests") struct KubernetesManifestTests {
    /// The documents of a file.
    private func documents(_ name: String) throws -> [YAMLNode] {
        let text = try Shell.output("cat '\(project)/packaging/kubernetes/\(name)'")
        return try text.split(separator: "\n---\n").map { try YAMLNode(reading: Array($0.utf8), name: name) }
    }

    /// The same text for the same value, however it is written.
    private func canonical(_ node: YAMLNode?) -> String {
        switch node?.content {
        case nil: "nothing"
        case .scalar(let text, let isPlain): isPlain ? text : "\"\(text)\""
        case .sequence(let items): "[\(items.map { canonical($0) }.joined(separator: ", "))]"
        case .mapping(let entries):
            "{\(entries.map { "\($0.key): \(canonical($0.value))" }.sorted().joined(separator: ", "))}"
        }
    }

    private func text(_ node: YAMLNode?) -> String? {
        if case .scalar(let text, _) = node?.content { text } else { nil }
    }

    @Test("run the same pod once and every night") func samePod() throws {
        let job = try #require(try documents("job.yaml").first?["spec"])
        let nightly = try #require(try documents("cronjob.yaml").first?["spec"]?["jobTemplate"]?["spec"])
        for key in ["backoffLimit", "activeDeadlineSeconds", "template"] {
            #expect(canonical(job[key]) == canonical(nightly[key]), "\(key)")
        }
        #expect(canonical(job["template"]).contains("args: [launchBackup]"))
        // The history limits say how many of the nightly Jobs stay.
        #expect(job["ttlSecondsAfterFinished"] != nil && nightly["ttlSecondsAfterFinished"] == nil)
    }

    @Test("name the image as scripts/make-image does", arguments: ["job.yaml", "cronjob.yaml", "job-as-talm.yaml"])
    func image(file: String) throws {
        let lines = try Shell.output("grep -h ' image: ' '\(project)/packaging/kubernetes/\(file)'")
        #expect(lines.trimmed == "image: localhost/node-recovery:\(Program.version)")
    }

    @Test("give the account no right in the cluster, and on OpenShift only that to a privileged pod") func rights()
        throws
    {
        #expect(try documents("rbac.yaml").map { text($0["kind"]) } == ["Namespace", "ServiceAccount"])
        #expect(text(try documents("rbac.yaml").last?["automountServiceAccountToken"]) == "false")
        let binding = try #require(try documents("openshift-scc.yaml").first)
        #expect(text(binding["kind"]) == "RoleBinding")
        #expect(text(binding["roleRef"]?["name"]) == "system:openshift:scc:privileged")
        #expect(text(binding["metadata"]?["namespace"]) == text(binding["subjects"]?[0]?["namespace"]))
        #expect(
            try documents("job-as-talm.yaml").map { text($0["kind"]) } == ["Namespace", "ServiceAccount", "Job"]
        )
    }

    @Test("mount of the host what TALM's template mounts, as it does") func mounts() throws {
        let pod = try #require(try documents("job-as-talm.yaml").last?["spec"]?["template"]?["spec"])
        let container = try #require(pod["containers"]?[0])
        let paths = Dictionary(
            uniqueKeysWithValues: (pod["volumes"]?.items ?? []).map {
                (
                    text($0["name"]) ?? "",
                    "\(text($0["hostPath"]?["path"]) ?? "-") \(text($0["hostPath"]?["type"]) ?? "-")"
                )
            }
        )
        let mounts = (container["volumeMounts"]?.items ?? []).map { mount in
            let path = paths[text(mount["name"]) ?? ""] ?? "no volume"
            return "\(text(mount["mountPath"]) ?? "") \(path) \(mount["readOnly"] == nil ? "rw" : "ro")"
        }
        #expect(
            Set(mounts) == [
                "/host - - rw",
                "/host/boot /boot Directory ro",
                "/host/dev/log /dev/log Socket rw",
                "/host/etc /etc Directory rw",
                "/host/proc /proc Directory ro",
                "/host/run /run Directory rw",
                "/host/sys/fs/cgroup /sys/fs/cgroup Directory ro",
                "/host/sysroot /sysroot Directory rw",
                "/host/tmp /tmp Directory rw",
                "/host/usr/bin /usr/bin Directory ro",
                "/host/usr/lib /usr/lib Directory ro",
                "/host/usr/lib64 /usr/lib64 Directory ro",
                "/host/usr/libexec /usr/libexec Directory ro",
                "/host/usr/local /usr/local Directory ro",
                "/host/usr/share/containers /usr/share/containers Directory ro",
                "/host/var/lib /var/lib Directory rw",
                "/host/var/recovery /var/recovery DirectoryOrCreate rw",
                "/host/var/tmp /var/tmp Directory rw",
            ],
            "\(mounts)"
        )
        #expect(text(container["tty"]) == "true" && container["command"] == nil)
    }
}
