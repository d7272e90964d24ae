extension Int64 {
    /// The sum, or the largest number when that is smaller: for totals of sizes, which any file may claim.
    public func addingSaturated(_ other: Int64) -> Int64 {
        let (sum, isTooLarge) = addingReportingOverflow(other)
        return isTooLarge ? (other > 0 ? .max : .min) : sum
    }
}

extension Int64 {
    /// The nearest number to a product of sizes, which may be larger than any; 0 for what is no number.
    public init(nearestTo value: Double) {
        self = value.isNaN ? 0 : value >= 0x1p63 ? .max : value < -0x1p63 ? .min : Int64(value)
    }
}
