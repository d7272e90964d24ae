import CLinux
import Glibc
public import SystemPackage

extension Directory {
    /// Removes a file, or a directory with everything in it; what is not there is removed already.
    ///
    /// Links are removed, never followed. Keeps one descriptor open for each level.
    /// - Throws: `EBUSY` at a mount point, on which nothing is touched; what was removed before it is gone.
    public func removeTree(_ name: FilePath.Component) throws(FilesError) {
        let bytes = name.withPlatformString { Array(UnsafeBufferPointer(start: $0, count: strlen($0) + 1)) }
        let device = try FileStat(of: descriptor, path: path.operatorText).identity.device
        try Files.removeTree(bytes, in: raw, on: device, path, observer: nil)
    }
}

/// Removes the file or tree `name` of an open directory, which lies on `device`; see ``Directory/removeTree(_:)``.
func removeTree(
    _ name: [CChar],
    in directory: Int32,
    on device: UInt64,
    _ path: FilePath,
    observer: (any ChangeObserver)?
) throws(FilesError) {
    // built for errors only
    func text() -> String { path.appending(FilePath(platformString: name).components).operatorText }
    var raw = CLinux_stat()
    guard CLinux_statx(directory, name, &raw) == 0 else {
        if errno == ENOENT { return }
        throw .last("look at", text())
    }
    let stat = FileStat(raw)
    guard !stat.isMountPoint(inDirectoryOn: device) else {
        throw FilesError(operation: "remove what is mounted on", path: text(), errno: .resourceBusy)
    }
    guard stat.kind == .directory else {
        if let observer { try observer.willChange("remove") }
        guard unlinkat(directory, name, 0) == 0 || errno == ENOENT else { throw .last("remove", text()) }
        return
    }
    let descriptor = openFile(at: directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    guard descriptor >= 0 else { throw .last("open", text()) }
    let inner = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
    let innerPath = path.appending(FilePath(platformString: name).components)
    let names = try DirectoryNames(of: inner.descriptor.rawValue, path: text())
    for index in 0..<names.count {
        let name = names[index].map { CChar(bitPattern: $0) } + [0]
        try removeTree(name, in: inner.descriptor.rawValue, on: stat.identity.device, innerPath, observer: observer)
    }
    if let observer { try observer.willChange("remove a directory") }
    guard unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT else { throw .last("remove", text()) }
}
