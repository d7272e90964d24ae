import Files
import SystemPackage
import TestSupport
import Testing

@Suite("A file lock") struct FileLockTests {
    let temporary: TemporaryDirectory
    let directory: Directory

    init() throws {
        temporary = try TemporaryDirectory()
        directory = try Directory(path: temporary.path)
    }

    @Test("is held once, and tells the second who holds it")
    func held() throws {
        guard case .held(let lock) = try FileLock.attempt("lock", in: directory, command: "node-backup create") else {
            Issue.record("a fresh lock is held")
            return
        }
        guard case .heldBy(let holder) = try FileLock.attempt("lock", in: directory, command: "second") else {
            Issue.record("held twice")
            return
        }
        #expect(holder.contains(/^node-backup create \(process \d+, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\)$/))
        // another process is refused too, and a program that was started while it is held does not hold on to it
        #expect(try Shell.run("python3 -c '\(tryLock)' \(temporary.path)/lock").status == 3)
        withExtendedLifetime(lock) {}
    }

    @Test("is held on a full disk as well, only that nobody is told by whom")
    func fullDisk() throws {
        let place = try temporary.mount("full", options: "size=64k")
        try Shell.output(": > '\(place)/lock'; dd if=/dev/zero of='\(place)/filler' bs=4k 2> /dev/null || true")
        let full = try Directory(path: place)
        guard case .held(let lock) = try FileLock.attempt("lock", in: full, command: "first") else {
            Issue.record("a fresh lock is held")
            return
        }
        guard case .heldBy(let holder) = try FileLock.attempt("lock", in: full, command: "second") else {
            Issue.record("held twice")
            return
        }
        #expect(holder == "another process")
        withExtendedLifetime(lock) {}
    }

    @Test("is free again when its holder lets go or dies")
    func released() throws {
        do {
            guard case .held(let lock) = try FileLock.attempt("lock", in: directory, command: "first") else {
                Issue.record("a fresh lock is held")
                return
            }
            withExtendedLifetime(lock) {}
        }
        #expect(try Shell.output("cat \(temporary.path)/lock") == "")
        #expect(try Shell.run("python3 -c '\(tryLock)' \(temporary.path)/lock").status == 0)
        try Shell.output(
            "printf 'a longer line than ours, of a process that was killed a long time ago, and it is not cut off' > \(temporary.path)/lock"
        )
        guard case .held(let again) = try FileLock.attempt("lock", in: directory, command: "second") else {
            Issue.record("the lock of a dead process is held")
            return
        }
        #expect(try Shell.output("cat \(temporary.path)/lock").hasPrefix("second (process "))
        withExtendedLifetime(again) {}
    }

    @Test("names the holder in another process")
    func otherProcess() throws {
        try Shell.output(
            """
            cd \(temporary.path); mkfifo ready; python3 -c '
            from fcntl import fcntl; import struct, sys, time
            f = open("lock", "w"); f.write("python (process 1)"); f.flush()
            fcntl(f, 37, struct.pack("hhqqi4x", 1, 0, 0, 0, 0))
            open("ready", "w").close(); time.sleep(60)' >/dev/null 2>&1 &
            echo $! > \(temporary.path)/pid; cat \(temporary.path)/ready
            """
        )
        let attempt = try FileLock.attempt("lock", in: directory, command: "second")
        guard case .heldBy("python (process 1)") = attempt else {
            Issue.record("\(attempt)")
            return
        }
        try Shell.output("kill -9 $(cat \(temporary.path)/pid)")
        try Shell.output("while kill -0 $(cat \(temporary.path)/pid) 2>/dev/null; do sleep 0.05; done")
        guard case .held = try FileLock.attempt("lock", in: directory, command: "second") else {
            Issue.record("outlived its holder")
            return
        }
    }

    /// Ends with 0 when it gets the lock, with 3 when somebody holds it; 37 is F_OFD_SETLK.
    private var tryLock: String {
        #"""
        from fcntl import fcntl; import struct, sys
        f = open(sys.argv[1], "r+")
        try: fcntl(f, 37, struct.pack("hhqqi4x", 1, 0, 0, 0, 0))
        except OSError: sys.exit(3)
        """#
    }
}
