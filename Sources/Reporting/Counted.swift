/// A number with its noun in singular or plural: `1 page`, `3 pages`, `0 entries`.
/// - Parameter noun: the singular.
/// - Parameter plural: where it takes more than an `s`: `entries`.
public func counted(_ count: some BinaryInteger, _ noun: String, _ plural: String? = nil) -> String {
    "\(count) \(count == 1 ? noun : plural ?? "\(noun)s")"
}
