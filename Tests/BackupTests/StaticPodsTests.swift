import Files
import NodeInterface
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Backup

@Suite("Static pods") struct StaticPodsTests {
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        try Shell.output("mkdir -p '\(directory / "etc/kubernetes/manifests")'")
    }

    private func put(_ name: String, _ text: String) throws {
        let path = (directory / "etc/kubernetes/manifests/\(name)").lexicallyNormalized()
        try Shell.output("cat > '\(path)' <<'END'\n\(text)\nEND")
    }

    private func subtrees() throws -> [String] {
        try StaticPods.subtrees(in: RootDirectory(path: directory.path)).map(\.string)
    }

    @Test("are their manifests and what they mount below /etc/kubernetes, each once") func resources() throws {
        try put(
            "kube-apiserver.yaml",
            """
            apiVersion: v1
            kind: Pod
            spec:
              containers: [{name: kube-apiserver, image: x}]
              volumes:
              - {name: certs, hostPath: {path: /etc/kubernetes/pki}}
              - {name: etcd, hostPath: {path: /etc/kubernetes/pki/etcd/, type: Directory}}
              - {name: system, hostPath: {path: /etc/ssl/certs}}
              - {name: data, hostPath: {path: /var/lib/etcd}}
              - {name: scratch, emptyDir: {}}
            """
        )
        try put(
            "etcd-pod.json",
            #"{"kind":"Pod","spec":{"volumes":[{"name":"r","hostPath":{"path":"/etc/kubernetes/static-pod-resources/etcd-pod-7"}}]}}"#
        )
        try put(".hidden.yaml", "not: [yaml")
        #expect(
            try subtrees() == [
                "/etc/kubernetes/manifests", "/etc/kubernetes/pki",
                "/etc/kubernetes/static-pod-resources/etcd-pod-7",
            ]
        )
    }

    @Test("are none where there is no manifest") func none() throws {
        #expect(try subtrees().isEmpty)
        try Shell.output("rmdir '\(directory / "etc/kubernetes/manifests")'")
        #expect(try subtrees().isEmpty)
    }

    private func remarks() throws -> [String] { try StaticPods(in: RootDirectory(path: directory.path)).remarks }

    private let good = "kind: Pod\nmetadata: {name: etcd}\nspec: {containers: [{name: etcd, image: \"e:1\"}]}"

    @Test("that the kubelet ignores are ignored, with a remark") func junk() throws {
        try put("etcd.yaml", good)
        for (make, expected) in [
            ("ln -s /nowhere x.yaml", "leads nowhere"), ("mkdir x.yaml", "directory"),
            ("printf 'kind: Pod\nspec: [' > x.yaml", "x.yaml"),
            ("printf 'kind: Service\n' > x.yaml", "not the manifest"),
            ("echo text > README", "not the manifest"), ("mkfifo x", "not the manifest"),
            ("head -c 5000000 /dev/zero > x", "x"), (": > x.json", "not the manifest"),
        ] {
            let place = directory / "etc/kubernetes/manifests"
            try Shell.output("cd '\(place)' && \(make)")
            #expect(try remarks().count == 1, "\(make)")
            #expect(try remarks().first?.contains(expected) == true, "\(make)")
            #expect(try StaticPods.all(in: RootDirectory(path: directory.path)).map(\.images) == [["e:1"]])
            #expect(try subtrees() == ["/etc/kubernetes/manifests"])
            try Shell.output("cd '\(place)' && rm -rf x x.yaml x.json README")
        }
        #expect(try remarks().isEmpty)
    }

    @Test("count whatever the ending of their files is, the first document of several") func endings() throws {
        try put("etcd.yaml", good)
        try put("etcd.yaml.backup", good.replacing("e:1", with: "e:0") + "\n---\n" + good)
        #expect(try StaticPods.all(in: RootDirectory(path: directory.path)).flatMap(\.images) == ["e:1", "e:0"])
        #expect(try remarks().count == 2)
        #expect(try remarks().contains { $0.contains("first document") })
        #expect(try remarks().contains { $0.contains("both describe the pod 'etcd'") })
    }

    @Test("are taken with what links lead to: directory, manifest, keys, one key") func links() throws {
        try Shell.output(
            """
            cd '\(directory.path)' && rmdir etc/kubernetes/manifests && mkdir -p srv/m srv/pki/etcd opt/keys
            ln -s /srv/m etc/kubernetes/manifests && ln -s ../../srv/pki etc/kubernetes/pki
            echo secret > opt/keys/ca.key && ln -s /opt/keys/ca.key srv/pki/ca.key
            mkdir -p opt/more && echo x > opt/more/x.yaml && ln -s ../../opt/more/x.yaml srv/m/x.yaml
            """
        )
        try put("../../../srv/m/etcd.yaml", good + "\n")
        let pod = "kind: Pod\nspec: {volumes: [{name: k, hostPath: {path: /etc/kubernetes/pki}}]}"
        try put("../../../srv/m/api.yaml", pod)
        #expect(
            try subtrees() == [
                "/etc/kubernetes/manifests", "/etc/kubernetes/pki", "/opt/keys/ca.key", "/opt/more/x.yaml", "/srv/m",
                "/srv/pki",
            ]
        )
    }

    @Test("name links to what is not taken") func badLinks() throws {
        try put("etcd.yaml", good)
        try put("api.yaml", "kind: Pod\nspec: {volumes: [{name: k, hostPath: {path: /etc/kubernetes/pki}}]}")
        try Shell.output(
            """
            cd '\(directory.path)' && mkdir -p etc/kubernetes/pki proc/1 && cd etc/kubernetes/pki
            ln -s / all && ln -s /gone/key key && ln -s /proc/1 process && ln -s ../pki self
            """
        )
        let places = try StaticPods(in: RootDirectory(path: directory.path))
            .places(in: RootDirectory(path: directory.path))
        #expect(places.subtrees.map(\.string) == ["/etc/kubernetes/manifests", "/etc/kubernetes/pki"])
        #expect(places.remarks.count == 3)
    }

    @Test("bring the files that their options name, wherever they are") func named() throws {
        try put(
            "api.yaml",
            """
            kind: Pod
            spec:
              containers:
              - name: a
                command: [kube-apiserver, --tls-cert-file=/keys/a.crt, --audit-log-path=/var/log/a, --x=/etc/hosts]
                volumeMounts: [{name: k, mountPath: /keys}, {name: e, mountPath: /etc}]
              volumes: [{name: k, hostPath: {path: /opt/k}}, {name: e, hostPath: {path: /etc}}]
            """
        )
        try Shell.output("cd '\(directory.path)' && mkdir -p opt/k && echo x | tee opt/k/a.crt opt/k/b.crt > etc/hosts")
        #expect(try subtrees() == ["/etc/kubernetes/manifests", "/opt/k/a.crt"])
    }

    @Test("are where the kubelet is told to look for them, and in RKE2's directory") func otherDirectories() throws {
        try Shell.output(
            """
            cd '\(directory.path)' && mkdir -p var/lib/kubelet opt/pods var/lib/rancher/rke2/agent/pod-manifests
            printf 'kind: KubeletConfiguration\nstaticPodPath: /opt/pods\n' > var/lib/kubelet/config.yaml
            echo 'kind: Pod' | tee opt/pods/a.yaml > var/lib/rancher/rke2/agent/pod-manifests/b.yaml
            """
        )
        #expect(
            try StaticPods.all(in: RootDirectory(path: directory.path)).map(\.path) == [
                "/opt/pods/a.yaml", "/var/lib/rancher/rke2/agent/pod-manifests/b.yaml",
            ]
        )
        try Shell.output(
            """
            cd '\(directory.path)' && mkdir -p etc/systemd/system/kubelet.service.d opt/flag && echo 'kind: Pod' > opt/flag/c.yaml
            printf '[Service]\nEnvironment="A=--pod-manifest-path=/opt/flag --root-dir=/data/kubelet"\n' \
                > etc/systemd/system/kubelet.service.d/10.conf
            """
        )
        #expect(try StaticPods.all(in: RootDirectory(path: directory.path)).first?.path == "/opt/flag/c.yaml")
        #expect(try KubeletSettings(in: RootDirectory(path: directory.path)).unusualRoot == "/data/kubelet")
    }
}

@Suite("The profile of a node") struct ProfileDetectorTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func detect(_ script: String) throws -> ProfileDetector.Finding {
        try Shell.output("cd '\(directory.path)' && rm -rf ./* && \(script)")
        return try ProfileDetector.detect(in: RootDirectory(path: directory.path))
    }

    @Test("is that of a control plane by any pod with its images, and by the administrator's kubeconfig")
    func controlPlane() throws {
        let manifests = "mkdir -p etc/kubernetes/manifests && cd etc/kubernetes/manifests"
        let pod = { (image: String) in
            "printf 'kind: Pod\nspec: {containers: [{name: a, image: \"\(image)\"}]}' > a.yaml"
        }
        #expect(try detect("\(manifests) && \(pod("k/kube-apiserver:v1.30.1"))").profile == .kubeadm)
        #expect(try detect("\(manifests) && \(pod("k/etcd@sha256:00"))").evidence == "/etc/kubernetes/manifests/a.yaml")
        #expect(try detect("mkdir -p etc/kubernetes && : > etc/kubernetes/super-admin.conf").profile == .kubeadm)
        let finding = try detect("\(manifests) && \(pod("k/haproxy:1"))")
        #expect(finding.profile == .plain)
        #expect(finding.signs == ["/etc/kubernetes/manifests/a.yaml"])
    }

    @Test(
        "is plain with signs of Kubernetes, and without any",
        arguments: [
            "var/lib/kubelet/kubeconfig", "etc/systemd/system/kubelet.service", "run/containerd/containerd.sock",
            "var/lib/rancher/k3s/x",
        ]
    )
    func signs(path: String) throws {
        let finding = try detect("mkdir -p $(dirname \(path)) && : > \(path)")
        #expect(finding.profile == .plain)
        #expect(finding.signs.count == 1)
        #expect(try detect(":").signs.isEmpty)
    }
}

@Suite("The file system of an ostree system") struct PhysicalSysrootTests {
    @Test("is refused with the mounts that make a node of it") func refused() throws {
        let directory = try TemporaryDirectory()
        try Shell.output(
            """
            cd '\(directory.path)' && mkdir -p ostree/repo ostree/deploy/os/deploy/{aa.0,bb.1}/etc boot/loader/entries
            mkdir -p ostree/boot.1/os/cc && ln -s ../../../deploy/os/deploy/bb.1 ostree/boot.1/os/cc/0
            printf 'version 1\noptions root=x ostree=/ostree/gone\n' > boot/loader/entries/a.conf
            printf 'version 2\noptions root=x ostree=/ostree/boot.1/os/cc/0\n' > boot/loader/entries/b.conf
            """
        )
        let root = try RootDirectory(path: directory.path)
        let error = #expect(throws: PhysicalSysroot.self) { try PhysicalSysroot.refuse(root) }
        #expect(error?.deployment == "/ostree/deploy/os/deploy/bb.1")
        #expect(error?.hint?.contains("mount --bind \(directory.path)/ostree/deploy/os/var /run/node/var") == true)
        try Shell.output("mkdir '\(directory.path)/etc'")
        try PhysicalSysroot.refuse(root)
    }
}

@Suite("A machine config") struct MachineConfigTests {
    @Test("names files, directories and links, each path once, but for those in other trees") func paths() throws {
        let text = #"""
            {"kind":"MachineConfig","spec":{"kernelType":"default","config":{"ignition":{"version":"3.4.0"},"storage":{
            "files":[{"path":"/etc/hosts"},{"path":"/opt/a","contents":{"source":"data:,x"}},{"path":"/usr/local/b"},
            {"path":"/var/lib/kubelet/config.json"},{"path":"/var/lib/kubeletx/y"},{"path":"/opt/a"}],
            "directories":[{"path":"/opt/d"}],"links":[{"path":"/opt/l","target":"a"}]}}}}
            """#
        let config = try MachineConfig.decode(Array(text.utf8), file: "currentconfig")
        #expect(
            config.paths(outside: ["etc", "usr/local", "var/lib/kubelet"])
                == ["opt/a", "opt/d", "opt/l", "var/lib/kubeletx/y"]
        )
    }

    @Test("has paths that are not plain, which are named instead") func unclear() throws {
        let text = #"{"spec":{"config":{"storage":{"files":[{"path":"/opt/../etc/x"},{"path":"/opt/a"}]}}}}"#
        let config = try MachineConfig.decode(Array(text.utf8), file: "currentconfig")
        #expect(config.paths(outside: []) == ["opt/a"])
        #expect(config.unclearPaths == ["opt/../etc/x"])
    }

    @Test("may have no storage, and is refused when it is no JSON") func degenerate() throws {
        #expect(try MachineConfig.decode(Array("{}".utf8), file: "c").paths.isEmpty)
        #expect(throws: BackupError.self) { try MachineConfig.decode(Array("{".utf8), file: "c") }
    }
}
