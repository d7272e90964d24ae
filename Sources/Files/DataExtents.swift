import CLinux
import Glibc
public import SystemPackage

/// Finds the stretches of a file that hold data.
public enum DataExtents {
    /// The stretches in order; `nil` when the file has no hole or the file system does not tell.
    ///
    /// A file that is one hole has none. Only worth a call when ``FileStat/mayHaveHoles`` says so. The offset of the
    /// descriptor is left anywhere.
    /// - Parameter size: the file's size; what lies behind is not looked at.
    /// - Parameter path: the file's name for the error.
    public static func find(
        in file: FileDescriptor,
        size: Int64,
        path: @autoclosure () -> String
    ) throws(FilesError) -> [DataExtent]? {
        var extents = [DataExtent]()
        var offset = 0
        while offset < size {
            let start = lseek(file.rawValue, offset, CLinux_SEEK_DATA)
            if start < 0 {
                if errno == ENXIO { break }  // no data from here on
                if errno == EINVAL || errno == ENOTSUP { return nil }
                throw .last("look for holes in", path())
            }
            guard start < size else { break }
            let end = lseek(file.rawValue, start, CLinux_SEEK_HOLE)
            // the file was cut short between the calls: whoever reads it will notice
            guard end > start else { break }
            extents.append(DataExtent(offset: Int64(start), length: min(Int64(end), size) - Int64(start)))
            offset = end
        }
        return extents == [DataExtent(offset: 0, length: size)] ? nil : extents
    }
}
