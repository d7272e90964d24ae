import Bolt
import SystemPackage
import TestSupport
import Testing

@Suite("The forecast of a bbolt file") struct BoltForecastTests {
    private func forecast(_ buckets: [Bucket], pageSize: Int) -> Int64 {
        var forecast = BoltForecast(pageSize: pageSize)
        for bucket in buckets {
            var one = BoltForecast.Bucket(pageSize: pageSize)
            for pair in bucket.pairs { one.addPair(keyCount: pair.key.count, valueCount: pair.value.count) }
            forecast.add(one, nameCount: bucket.name.utf8.count)
        }
        return forecast.sizeBytes
    }

    @Test("is right to the byte, for pages and pairs of every size", arguments: [1024, 4096, 16384, 65536, 1 << 20])
    func awkward(pageSize: Int) throws {
        let directory = try TemporaryDirectory()
        let buckets = awkwardBuckets(pageSize: pageSize)
        let (file, meta) = try write(buckets, to: directory / "db", pageSize: pageSize)
        defer { try? file.close() }  // ignored: the file is thrown away
        #expect(forecast(buckets, pageSize: pageSize) == Int64(meta.pageCount) * Int64(pageSize))
    }

    @Test("is right to the byte for random pairs, and what is written is whole", arguments: 0..<60)
    func random(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let directory = try TemporaryDirectory()
        let largest = [20, 200, 1000, 2100, 5000, 70_000].randomElement(using: &random)!
        let longest = [8, 30, 900, 20_000].randomElement(using: &random)!
        let buckets = (0..<Int.random(in: 0...12, using: &random)).map { bucket in
            let pairs = (0..<Int.random(in: 0...300, using: &random)).map { number in
                let key = withUnsafeBytes(of: UInt32(number).bigEndian) { Array($0) }
                let tail = [UInt8](repeating: 7, count: .random(in: 0...longest, using: &random))
                return Bucket.Pair(
                    key: key + tail,
                    value: [UInt8](repeating: 9, count: .random(in: 0...largest, using: &random))
                )
            }
            return Bucket(name: "bucket \(bucket + 10)", pairs: pairs)
        }
        let (file, meta) = try write(buckets, to: directory / "db", pageSize: 4096)
        defer { try? file.close() }  // ignored: the file is thrown away
        #expect(forecast(buckets, pageSize: 4096) == Int64(meta.pageCount) * 4096)
        let result = try read(file)
        #expect(result.walk.faults.lines == [])
        #expect(result.walk.freePages == 0)
        #expect(result.buckets == buckets)
    }

    @Test("of values just below and above half a page is two of them in as many pages as they take")
    func pairsOfALeaf() {
        func pages(_ valueCount: Int) -> Int64 {
            var bucket = BoltForecast.Bucket(pageSize: 4096)
            for _ in 0..<1000 { bucket.addPair(keyCount: 17, valueCount: valueCount) }
            var forecast = BoltForecast(pageSize: 4096)
            forecast.add(bucket, nameCount: 3)
            return forecast.sizeBytes / 4096
        }
        // Besides the leaves: meta pages, free list, root and the branch pages.
        #expect(pages(1950) == 500 + 3 + 1 + 6)
        #expect(pages(3000) == 1000 + 3 + 1 + 6)
        #expect(pages(4500) == 1500 + 3 + 1 + 6)
        #expect(pages(5900) == 1500 + 3 + 1 + 6)
    }
}
