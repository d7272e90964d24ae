import ArgumentParser
import RecoveryPoints
import Reporting
import SystemPackage

/// A recovery point on the command line: its number, or `latest` for the newest.
enum PointChoice: ExpressibleByArgument, Equatable {
    case latest
    case number(Int)

    init?(argument: String) {
        if argument == "latest" {
            self = .latest
        } else if let number = Int(argument) {
            self = .number(number)
        } else {
            return nil
        }
    }

    /// The number; `nil` for the newest.
    var generation: Int? { if case .number(let number) = self { number } else { nil } }
}

extension RecoveryStore {
    /// The recovery point that was named, else the newest.
    func chosen(_ choice: PointChoice?) throws -> RecoveryPoint {
        if let generation = choice?.generation { return try point(generation) }
        guard let newest = try newest() else { throw StoreError.empty(directory: path.string) }
        return newest
    }

    /// The same, with the damage of one whose manifest cannot be read as a value.
    func chosenEntry(
        _ choice: PointChoice?
    ) throws -> (generation: Int, point: Result<RecoveryPoint, StoreError>) {
        let all = try all()
        if let generation = choice?.generation {
            guard let entry = all.first(where: { $0.generation == generation }) else {
                throw StoreError.noPoint(generation: generation, directory: path.string)
            }
            return entry
        }
        guard let newest = all.last else { throw StoreError.empty(directory: path.string) }
        return newest
    }
}
