/// Counts distinct live keys by 64-bit hashes of them.
///
/// Open addressing with 8 bytes a slot, at most three quarters full: 16 MiB for a million keys (24 MiB while it
/// grows). Two keys of a million share a hash with a probability of 3 in 100 million, and the count is then one too
/// low; nothing else depends on it.
struct SnapshotLiveKeys {
    private var slots = [UInt64](repeating: 0, count: 1024)
    /// How many keys there are.
    private(set) var count = 0

    /// Adds a key that may be there already.
    mutating func insert(_ hash: UInt64) {
        if (count + 1) * 4 > slots.count * 3 { grow() }
        let hash = hash == 0 ? 1 : hash  // 0 marks an empty slot
        let slot = find(hash)
        if slots[slot] == 0 {
            slots[slot] = hash
            count += 1
        }
    }

    /// Removes a key that may not be there.
    mutating func remove(_ hash: UInt64) {
        let hash = hash == 0 ? 1 : hash
        var hole = find(hash)
        guard slots[hole] != 0 else { return }
        count -= 1
        // What stands behind the hole moves into it, unless its search begins behind the hole.
        let mask = slots.count - 1
        var next = (hole + 1) & mask
        while slots[next] != 0 {
            let home = Int(truncatingIfNeeded: slots[next]) & mask
            if (next - home) & mask >= (next - hole) & mask {
                slots[hole] = slots[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        slots[hole] = 0
    }

    /// The slot that has `hash`, or the empty one where it belongs.
    private func find(_ hash: UInt64) -> Int {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0, slots[slot] != hash { slot = (slot + 1) & mask }
        return slot
    }

    private mutating func grow() {
        let old = slots
        slots = [UInt64](repeating: 0, count: old.count * 2)
        for hash in old where hash != 0 { slots[find(hash)] = hash }
    }
}
