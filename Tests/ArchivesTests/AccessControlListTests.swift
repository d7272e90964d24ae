import Testing

@testable import Archives

@Suite("An access control list") struct AccessControlListTests {
    private let kernel: [UInt8] = [
        2, 0, 0, 0,
        1, 0, 6, 0, 255, 255, 255, 255,
        2, 0, 4, 0, 0xE8, 3, 0, 0,
        2, 0, 7, 0, 0, 0x94, 0x35, 0x77,
        4, 0, 4, 0, 255, 255, 255, 255,
        8, 0, 1, 0, 0xD0, 7, 0, 0,
        16, 0, 6, 0, 255, 255, 255, 255,
        32, 0, 0, 0, 255, 255, 255, 255,
    ]

    @Test("is the same in the kernel's form and as text")
    func bothForms() throws {
        let list = try #require(AccessControlList(attribute: kernel))
        #expect(list.attribute == kernel)
        #expect(
            String(decoding: list.text, as: UTF8.self)
                == "user::rw-,user:1000:r--,user:2000000000:rwx,group::r--,group:2000:--x,mask::rw-,other::---"
        )
        #expect(list.groupPermissions == 6)
    }

    @Test("that the kernel would not give is left as it is")
    func strange() {
        for count in 0..<kernel.count where count < 4 || count % 8 != 4 {
            #expect(AccessControlList(attribute: Array(kernel[..<count])) == nil)
        }
        for (place, value) in [(0, 3), (4, 3), (6, 8), (8, 0), (16, 255), (20, 1)] as [(Int, UInt8)] {
            var bad = kernel
            bad[place] = value
            if place == 16 { bad.replaceSubrange(16..<20, with: [255, 255, 255, 255]) }
            #expect(AccessControlList(attribute: bad) == nil)
        }
    }
}
