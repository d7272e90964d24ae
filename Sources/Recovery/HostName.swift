/// Host names, as far as they tell one node from another.
enum HostName {
    /// What a system calls itself that has no name.
    private static let none: Set<String> = ["", "localhost", "localhost.localdomain", "localhost4", "localhost6"]

    /// Whether a name that was found can be that of a node with another one: it is lost, or one of the two has the
    /// domain as well.
    static func isSame(_ found: String, as name: String) -> Bool {
        let (found, name) = (found.lowercased(), name.lowercased())
        return none.contains(found) || none.contains(name) || found == name || found.hasPrefix("\(name).")
            || name.hasPrefix("\(found).")
    }
}
