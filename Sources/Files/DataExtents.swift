import CLinux
import Glibc
public import SystemPackage

/// Finds the stretches of a file that hold data.
public enum DataExtents {
    /// The stretches in order; `nil` when the file has no hole or the file system does not tell.
    ///
    /// A file with very many holes is told without the shortest of them, which then count as data: at most
    /// ``mostExtents`` stretches. A file that is one hole has none. Only worth a call when ``FileStat/mayHaveHoles`` says so. The offset of the
    /// descriptor is left anywhere.
    /// - Parameter size: the file's size; what lies behind is not looked at.
    /// - Parameter path: the file's name for the error.
    public static func find(
        in file: FileDescriptor,
        size: Int64,
        path: @autoclosure () -> String
    ) throws(FilesError) -> [DataExtent]? {
        var extents = [DataExtent]()
        var shortestHole: Int64 = 1
        var offset = 0
        while offset < size {
            let start = lseek(file.rawValue, offset, CLinux_SEEK_DATA)
            if start < 0 {
                if errno == ENXIO { break }  // no data from here on
                if errno == EINVAL || errno == ENOTSUP { return nil }
                throw .last("find the holes of", path())
            }
            guard start < size else { break }
            let end = lseek(file.rawValue, start, CLinux_SEEK_HOLE)
            // the file was cut short between the calls: whoever reads it will notice
            guard end > start else { break }
            let extent = DataExtent(offset: Int64(start), length: min(Int64(end), size) - Int64(start))
            if let last = extents.last, extent.offset - (last.offset + last.length) < shortestHole {
                extents[extents.count - 1].length = extent.offset + extent.length - last.offset
            } else {
                extents.append(extent)
            }
            while extents.count > mostExtents {
                shortestHole *= 2
                extents = merged(extents, shortestHole: shortestHole)
            }
            offset = end
        }
        return extents == [DataExtent(offset: 0, length: size)] ? nil : extents
    }

    /// The most stretches that are told.
    static let mostExtents = 1 << 16

    /// The stretches with all holes between them that are shorter than `shortestHole` filled.
    private static func merged(_ extents: [DataExtent], shortestHole: Int64) -> [DataExtent] {
        var result = [DataExtent]()
        for extent in extents {
            if let last = result.last, extent.offset - (last.offset + last.length) < shortestHole {
                result[result.count - 1].length = extent.offset + extent.length - last.offset
            } else {
                result.append(extent)
            }
        }
        return result
    }
}
