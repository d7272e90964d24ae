internal import CSystemd
internal import Glibc
internal import Reporting
internal import SystemPackage

/// A connection to systemd's D-Bus interface, and the answers and signals that come over it.
///
/// One loop reads everything, with `poll(2)`, so that each wait ends at its deadline or when the run is to stop.
struct BusConnection: ~Copyable {
    /// A wait that did not get what it waited for.
    enum Failure: Error {
        case fault(SystemdError.Fault)
        case stopped(Stopped)
    }

    /// A socket at which systemd or a message bus listens.
    struct Socket: Sendable, Hashable {
        let path: FilePath
        /// Whether a message bus listens there, which wants a greeting and is told what to pass on.
        let isBroker: Bool

        /// systemd's own, which is there without a message bus; for root alone.
        static let direct = Socket(path: "/run/systemd/private", isBroker: false)
        /// The message bus of the system.
        static let broker = Socket(path: "/run/dbus/system_bus_socket", isBroker: true)
    }

    static let service = "org.freedesktop.systemd1"
    static let path = "/org/freedesktop/systemd1"
    static let interface = "org.freedesktop.systemd1.Manager"

    private let bus: OpaquePointer
    private let isBroker: Bool
    private let cancellation: Cancellation
    /// How each job ended that ended since we subscribed, by its path.
    private var results: [String: String] = [:]

    /// Connects to the first socket that takes us.
    init(_ sockets: [Socket], cancellation: Cancellation) throws(Failure) {
        var last: Int32 = ENOENT
        for socket in sockets {
            var bus: OpaquePointer?
            guard sd_bus_new(&bus) >= 0, let bus else { throw .fault(.unreachable(ENOMEM)) }
            var status = sd_bus_set_address(bus, Self.address(of: socket.path))
            if status >= 0, socket.isBroker { status = sd_bus_set_bus_client(bus, 1) }
            if status >= 0 { status = sd_bus_start(bus) }
            if status >= 0 {
                self.bus = bus
                self.cancellation = cancellation
                isBroker = socket.isBroker
                return
            }
            sd_bus_close_unref(bus)
            // Of a socket that is there the reason is worth more than that another one is not.
            if last == ENOENT || last == ECONNREFUSED { last = -status }
        }
        throw .fault(.unreachable(last))
    }

    deinit {
        sd_bus_close_unref(bus)
    }

    /// An address of a path as D-Bus writes it: bytes that are not plain as `%` and two hexadecimal digits.
    static func address(of path: FilePath) -> String {
        let digits = Array("0123456789abcdef")
        return "unix:path="
            + path.string.utf8.map { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "-"),
                    UInt8(ascii: "_"):
                    String(UnicodeScalar(byte))
                default: "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
                }
            }
            .joined()
    }

    // MARK: - Calls

    /// An argument of a method.
    enum Argument {
        case string(String)
        case int32(Int32)
    }

    /// Calls a method of the manager, or of another object of systemd's, and waits for the answer.
    mutating func call(
        _ member: String,
        _ arguments: Argument...,
        path: String = Self.path,
        interface: String = Self.interface,
        deadline: ContinuousClock.Instant
    ) throws(Failure) -> Message {
        try call(service: Self.service, path, interface, member, arguments, deadline: deadline)
    }

    /// Has systemd tell us of the jobs that end.
    mutating func subscribe(deadline: ContinuousClock.Instant) throws(Failure) {
        // Over its own socket systemd tells everything to everybody.
        guard isBroker else { return }
        let rule = "type='signal',sender='\(Self.service)',interface='\(Self.interface)',member='JobRemoved'"
        let dbus = "org.freedesktop.DBus"
        _ = try call(
            service: dbus,
            "/org/freedesktop/DBus",
            dbus,
            "AddMatch",
            [.string(rule)],
            deadline: deadline
        )
        _ = try call("Subscribe", deadline: deadline)
    }

    /// Waits until a job has ended, and says how; `nil` when it has not by the deadline.
    mutating func result(ofJob job: String, deadline: ContinuousClock.Instant) throws(Failure) -> String? {
        while true {
            if let result = results[job] { return result }
            guard let message = try next(deadline: deadline) else { return nil }
            take(message)
        }
    }

    private mutating func call(
        service: String,
        _ path: String,
        _ interface: String,
        _ member: String,
        _ arguments: [Argument],
        deadline: ContinuousClock.Instant
    ) throws(Failure) -> Message {
        let start = ContinuousClock.now
        var pointer: OpaquePointer?
        var status = sd_bus_message_new_method_call(bus, &pointer, service, path, interface, member)
        guard status >= 0, let pointer else { throw .fault(.broken(-status)) }
        let request = Message(pointer)
        for argument in arguments where status >= 0 {
            status =
                switch argument {
                case .string(let text): sd_bus_message_append_basic(request.pointer, CChar(UInt8(ascii: "s")), text)
                case .int32(var number): sd_bus_message_append_basic(request.pointer, CChar(UInt8(ascii: "i")), &number)
                }
        }
        var cookie: UInt64 = 0
        if status >= 0 { status = sd_bus_send(bus, request.pointer, &cookie) }
        guard status >= 0 else { throw .fault(.broken(-status)) }
        while let message = try next(deadline: deadline) {
            guard message.answers(cookie) else {
                take(message)
                continue
            }
            if let error = message.error { throw .fault(.refused(name: error.name, text: error.text)) }
            return message
        }
        throw .fault(.silent(deadline - start))
    }

    // MARK: - Reading

    private mutating func take(_ message: borrowing Message) {
        guard let ended = message.endedJob else { return }
        results[ended.job] = ended.result
    }

    /// The next message; `nil` when none came by the deadline.
    private func next(deadline: ContinuousClock.Instant) throws(Failure) -> Message? {
        while true {
            do { try cancellation.check() } catch { throw .stopped(error) }
            var pointer: OpaquePointer?
            let status = sd_bus_process(bus, &pointer)
            guard status >= 0 else { throw .fault(.broken(-status)) }
            if let pointer {
                let message = Message(pointer)
                if message.isDisconnect { throw .fault(.broken(ECONNRESET)) }
                return message
            }
            if status > 0 { continue }
            let left = deadline - .now
            guard left > .zero else { return nil }
            try wait(left)
        }
    }

    private func wait(_ left: Duration) throws(Failure) {
        let descriptor = sd_bus_get_fd(bus)
        let events = sd_bus_get_events(bus)
        guard descriptor >= 0, events >= 0 else { throw .fault(.broken(ENOTCONN)) }
        var set = [
            pollfd(fd: descriptor, events: Int16(truncatingIfNeeded: events), revents: 0),
            pollfd(fd: cancellation.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        // libsystemd gives the greeting a limit of its own; a second is often enough to look at it.
        let milliseconds = min(left / .milliseconds(1), 1000).rounded(.up)
        // ignored: a wait that is cut short is taken up again
        _ = poll(&set, 2, Int32(milliseconds))
    }
}

extension BusConnection {
    /// A message of D-Bus.
    struct Message: ~Copyable {
        fileprivate let pointer: OpaquePointer

        fileprivate init(_ pointer: OpaquePointer) { self.pointer = pointer }

        deinit { sd_bus_message_unref(pointer) }

        /// The next value, an object's path.
        func objectPath() throws(Failure) -> String { try text("o") }

        /// The next value, a string inside a variant, which is how a property is answered.
        func variantString() throws(Failure) -> String {
            guard sd_bus_message_enter_container(pointer, CChar(UInt8(ascii: "v")), "s") > 0 else {
                throw .fault(.malformed)
            }
            return try text("s")
        }

        private func text(_ type: Unicode.Scalar) throws(Failure) -> String {
            guard let text = optionalText(type) else { throw .fault(.malformed) }
            return text
        }

        private func optionalText(_ type: Unicode.Scalar) -> String? {
            var value: UnsafePointer<CChar>?
            let status = withUnsafeMutablePointer(to: &value) {
                sd_bus_message_read_basic(pointer, CChar(UInt8(ascii: type)), $0)
            }
            return status > 0 ? value.map { String(cString: $0) } : nil
        }

        fileprivate func answers(_ cookie: UInt64) -> Bool {
            var asked: UInt64 = 0
            return sd_bus_message_get_reply_cookie(pointer, &asked) >= 0 && asked == cookie
        }

        fileprivate var error: (name: String, text: String)? {
            guard let error = sd_bus_message_get_error(pointer) else { return nil }
            let text = error.pointee.message.map { String(cString: $0) } ?? ""
            return (error.pointee.name.map { String(cString: $0) } ?? "", text)
        }

        /// Whether libsystemd says with it that the connection is over.
        fileprivate var isDisconnect: Bool {
            sd_bus_message_is_signal(pointer, "org.freedesktop.DBus.Local", "Disconnected") > 0
        }

        /// `JobRemoved(u id, o job, s unit, s result)`.
        fileprivate var endedJob: (job: String, result: String)? {
            guard sd_bus_message_is_signal(pointer, BusConnection.interface, "JobRemoved") > 0 else { return nil }
            var id: UInt32 = 0
            guard sd_bus_message_read_basic(pointer, CChar(UInt8(ascii: "u")), &id) > 0, let job = optionalText("o"),
                optionalText("s") != nil, let result = optionalText("s")
            else { return nil }
            return (job, result)
        }
    }
}
