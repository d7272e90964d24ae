/// Two bits a page: whether the tree reaches it, and whether the free list names it.
///
/// 64 KiB for a file of 1 GiB with pages of 4 KiB.
struct PageMap {
    private var reached: [UInt64]
    private var freed: [UInt64]
    let count: Int

    init(count: Int) {
        self.count = count
        reached = [UInt64](repeating: 0, count: (count + 63) / 64)
        freed = reached
    }

    func isReached(_ page: Int) -> Bool { reached[page >> 6] & (1 << UInt64(page & 63)) != 0 }
    func isFree(_ page: Int) -> Bool { freed[page >> 6] & (1 << UInt64(page & 63)) != 0 }
    mutating func reach(_ page: Int) { reached[page >> 6] |= 1 << UInt64(page & 63) }
    mutating func free(_ page: Int) { freed[page >> 6] |= 1 << UInt64(page & 63) }

    /// Stretches of pages that are neither reached nor free, in order.
    func lost() -> [ClosedRange<Int>] {
        var stretches = [ClosedRange<Int>]()
        var page = 0
        while page < count {
            if page & 63 == 0, reached[page >> 6] | freed[page >> 6] == .max {
                page += 64
                continue
            }
            if !isReached(page), !isFree(page) {
                if let last = stretches.last, last.upperBound == page - 1 {
                    stretches[stretches.count - 1] = last.lowerBound...page
                } else {
                    stretches.append(page...page)
                }
            }
            page += 1
        }
        return stretches
    }
}
