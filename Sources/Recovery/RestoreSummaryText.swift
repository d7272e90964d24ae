import Archives
import Reporting

extension TreeRestorer.Summary {
    /// `1 204 files: 3 written (1.2 MiB), 1 with new metadata, 2 removed, 1 198 as they were`.
    var sentence: String {
        "\(files) files: \(written) written (\(ByteCount(writtenBytes))), \(metadataOnly) with new metadata, "
            + "\(removed) removed, \(unchanged) as they were"
    }
}
