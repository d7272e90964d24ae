import Archives
import Files
import NodeInterface
import RecoveryPoints
import SystemPackage

/// Files that a recovery puts on the node for the time that it is under way; every one has a row in
/// ``RestoreExclusions``.
struct NodeMarks {
    /// The `etc` that they go into: the running system's, or the one of the deployment that is booted next.
    let etc: Directory

    private static let holdText = """
        # The kubelet is held while a recovery of this node is under way: its pods must not run on half-restored files.
        # Status: 'upgrade-recovery --status'; to continue: 'upgrade-recovery --resume'.
        [Unit]
        ConditionPathExists=!/etc/systemd/system/kubelet.service.d/zz-node-recovery-hold.conf

        """

    private static func motdText(isHeld: Bool) -> String {
        """
        ** A recovery of this node is under way. \(isHeld ? "The kubelet is held." : "The kubelet is running again.")
        ** Status: 'upgrade-recovery --status'. To continue: 'upgrade-recovery --resume'.

        """
    }

    private static let crioText = """
        # A recovery of this node is under way: CRI-O does not remove its images when it starts after a power cut.
        [crio]
        clean_shutdown_file = ""

        """

    /// Directories that had to be made, relative to ``etc``: they go again when the marks do.
    private(set) var made: [String] = []

    init(etc: Directory, made: [String] = []) {
        self.etc = etc
        self.made = made
    }

    /// Keeps the kubelet from starting, and tells whoever logs in.
    mutating func hold() throws(FilesError) {
        try write(Self.holdText, to: "zz-node-recovery-hold.conf", in: Self.kubeletDropIns)
        try write(Self.motdText(isHeld: true), to: "node-recovery", in: Self.motd)
    }

    /// Keeps CRI-O from removing its images when it starts after a power cut, and up to 1.24 in another version.
    mutating func holdOffWipe() throws(FilesError) {
        try write(Self.crioText, to: Self.crioName, in: Self.crioDropIns)
    }

    /// Whether ``holdOffWipe()`` was done and not taken back.
    func holdsOffWipe() throws(FilesError) -> Bool { try open(Self.crioDropIns)?.stat(Self.crioName) != nil }

    /// Whether there is any mark to remove.
    func arePresent() throws(FilesError) -> Bool {
        let marks: [(directory: [FilePath.Component], name: FilePath.Component)] = [
            (Self.crioDropIns, Self.crioName), (Self.kubeletDropIns, "zz-node-recovery-hold.conf"),
            (Self.motd, "node-recovery"), (Self.units, "upgrade-recovery-resume.service"),
        ]
        for mark in marks {
            if try open(mark.directory)?.stat(mark.name) != nil { return true }
        }
        return false
    }

    /// Directories that the marks would have to make, relative to ``etc``.
    func missing() throws(FilesError) -> [String] {
        var missing: [String] = []
        for path in [Self.kubeletDropIns, Self.wants, Self.motd, Self.crioDropIns] {
            for depth in path.indices {
                if try open(path[...depth]) == nil { missing.append(Self.text(path[...depth])) }
            }
        }
        return missing
    }

    /// Allows the kubelet to start again.
    mutating func release() throws(FilesError) {
        try remove("zz-node-recovery-hold.conf", in: Self.kubeletDropIns)
        guard try open(Self.motd)?.stat("node-recovery") != nil else { return }
        try write(Self.motdText(isHeld: false), to: "node-recovery", in: Self.motd)
    }

    /// The unit that continues a recovery: `packaging/systemd/upgrade-recovery-resume.service` is this text with the
    /// usual command and directory, which a test holds.
    /// - Parameter command: program and arguments, quoted where systemd wants that; see ``UnitText``.
    /// - Parameter store: where the recovery points are, absolute.
    static func resumeUnit(_ command: String, store: FilePath) -> String {
        """
        # Continues the recovery under way. 'upgrade-recovery --reboot' puts it into /etc/systemd/system, enables it
        # for the next boot, and removes it when the recovery is done.
        [Unit]
        Description=Continue the recovery of this node
        Documentation=man:upgrade-recovery(8)
        RequiresMountsFor=\(UnitText.path(store)) /var/lib/etcd /var/lib/kubelet
        After=local-fs.target dbus.service network.target containerd.service crio.service

        [Service]
        Type=exec
        ExecStart=\(command)
        # The steps go to the journal with their fields, and as lines to whoever is at the console.
        Environment=NODE_RECOVERY_CONSOLE=/dev/console
        StandardOutput=journal
        StandardError=journal

        [Install]
        WantedBy=multi-user.target

        """
    }

    /// Has the recovery continue automatically after the next boot.
    /// - Parameter command: the program with its arguments; see ``resumeUnit(_:store:)``.
    mutating func installResumeUnit(_ command: String, store: FilePath) throws(FilesError) {
        try write(Self.resumeUnit(command, store: store), to: "upgrade-recovery-resume.service", in: Self.units)
        let wants = try open(making: Self.wants)
        try wants.keepingTime { () throws(FilesError) in
            try AtomicFile.link(
                to: "../upgrade-recovery-resume.service",
                as: "upgrade-recovery-resume.service",
                in: wants
            )
        }
    }

    /// Removes all but the hold, and the directories that were made for the marks.
    /// - Parameter wanted: Those that the recovery point has: they stay.
    func removeTheRest(keeping wanted: Set<String> = []) throws(FilesError) {
        try remove("upgrade-recovery-resume.service", in: Self.wants)
        try remove("upgrade-recovery-resume.service", in: Self.units)
        try remove("node-recovery", in: Self.motd)
        try remove(Self.crioName, in: Self.crioDropIns)
        for path in [Self.kubeletDropIns, Self.wants, Self.motd, Self.crioDropIns, Array(Self.crioDropIns.prefix(1))]
        where made.contains(Self.text(path)) && !wanted.contains(Self.text(path)) {
            guard let name = path.last, let parent = try open(path.dropLast()), try parent.stat(name) != nil,
                try parent.directory(name).names().isEmpty
            else { continue }
            try parent.keepingTime { () throws(FilesError) in try parent.removeDirectory(name) }
            try parent.sync()
        }
    }

    // MARK: Files

    private static let units: [FilePath.Component] = ["systemd", "system"]
    private static let kubeletDropIns: [FilePath.Component] = units + ["kubelet.service.d"]
    private static let wants: [FilePath.Component] = units + ["multi-user.target.wants"]
    private static let motd: [FilePath.Component] = ["motd.d"]
    private static let crioDropIns: [FilePath.Component] = ["crio", "crio.conf.d"]
    static let crioName: FilePath.Component = "99-node-recovery"

    private static func text(_ path: some Sequence<FilePath.Component>) -> String {
        path.map(\.string).joined(separator: "/")
    }

    private mutating func write(
        _ text: String,
        to name: FilePath.Component,
        in path: [FilePath.Component]
    ) throws(FilesError) {
        let directory = try open(making: path)
        try directory.keepingTime { () throws(FilesError) in
            try AtomicFile.write(Array(text.utf8), to: name, in: directory, mode: 0o644)
        }
    }

    private func remove(_ name: FilePath.Component, in path: [FilePath.Component]) throws(FilesError) {
        guard let directory = try open(path) else { return }
        try directory.keepingTime { () throws(FilesError) in try directory.remove(name) }
        try directory.sync()
    }

    /// The directory below ``etc``; `nil` when it does not exist.
    private func open(_ path: some Sequence<FilePath.Component>) throws(FilesError) -> Directory? {
        var directory = etc
        for name in path {
            guard try directory.stat(name) != nil else { return nil }
            directory = try directory.directory(name)
        }
        return directory
    }

    /// The directory below ``etc``, made where it is missing.
    private mutating func open(making path: [FilePath.Component]) throws(FilesError) -> Directory {
        var directory = etc
        for (depth, name) in path.enumerated() {
            if try directory.stat(name) == nil {
                let parent = directory
                try parent.keepingTime { () throws(FilesError) in try parent.makeDirectory(name, mode: 0o755) }
                try parent.sync()
                made.append(Self.text(path[...depth]))
            }
            directory = try directory.directory(name)
        }
        return directory
    }
}

extension RecoveryContext {
    /// Those of the directories that were made for marks which the recovery point has itself.
    func wantedMarkDirectories(_ made: [String]) throws -> Set<String> {
        guard !made.isEmpty, let index = point.manifest.component(.etc)?.file(.index) else { return [] }
        let paths = Set(made.compactMap { TreePath(validating: Array("etc/\($0)".utf8)) })
        let frames = try FrameReader(path: point.path(of: index), jobs: 1, cancellation: node.cancellation)
        let lines = ArchiveIndexReader(from: frames)
        var present: Set<String> = []
        while let record = try lines.next() {
            if paths.contains(record.path) { present.insert(String("\(record.path)".dropFirst("etc/".count))) }
        }
        return present
    }

    /// The marks in the node's own `/etc`.
    func marks() throws(FilesError) -> NodeMarks {
        NodeMarks(
            etc: try root.directory("/etc"),
            made: journal.values(JournalKeys.madeDirectories).flatMap { $0 }
        )
    }
}
