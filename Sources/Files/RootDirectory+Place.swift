import CLinux
import Glibc
public import SystemPackage

extension RootDirectory {
    /// Where a path leads when every link on the way and at its end is followed inside this root, whether or not its
    /// last names exist.
    ///
    /// An absolute link starts at this root and `..` does not leave it, as for the node's own kernel. What exists of
    /// the result has no link in it, so that it is safe to hand to the kernel below the root's own path.
    /// - Returns: the place, absolute below this root, and where the links on the way really are, in the order in which
    ///   they were followed.
    /// - Throws: `ELOOP` after 40 links, as the kernel does.
    public func place(of path: FilePath) throws(FilesError) -> (path: FilePath, links: [FilePath]) {
        var rest = Array(path.components)[...]
        var place: FilePath = "/"
        var links: [FilePath] = []
        while let name = rest.popFirst() {
            if name.kind == .currentDirectory { continue }
            if name.kind == .parentDirectory {
                _ = place.removeLastComponent()
                continue
            }
            place.append(name)
            do throws(FilesError) {
                guard try stat(place, followsLink: false).kind == .symbolicLink else { continue }
            } catch {
                guard error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory else { throw error }
                continue
            }
            guard links.count < 40 else {
                throw FilesError(
                    operation: "look for",
                    path: fullPath(of: path).string,
                    errno: .tooManySymbolicLinkLevels
                )
            }
            links.append(place)
            let link = try open(place, CLinux_O_PATH | O_NOFOLLOW, "read the link")
            let target = FilePath(
                bytes: try linkTarget(at: link.descriptor.rawValue, "", path: fullPath(of: place).string)
            )
            withExtendedLifetime(link) {}
            _ = place.removeLastComponent()
            if target.isAbsolute { place = "/" }
            rest = Array(target.components)[...] + rest
        }
        return (place, links)
    }

    /// The same as a path of this machine.
    public func realPath(of path: FilePath) throws(FilesError) -> FilePath {
        fullPath(of: try place(of: path).path)
    }
}
