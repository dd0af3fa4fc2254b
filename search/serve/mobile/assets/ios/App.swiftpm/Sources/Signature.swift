import Foundation

/// What a model takes and gives, as `signature.json` has it.
struct Signature: Decodable {
    let target: String
    let inputs: [Input]
    let classes: [String]
}

/// One column, or the image.
struct Input: Decodable, Identifiable {
    let name: String
    let kind: String
    let example: Example?
    let low: Double?
    let high: Double?
    let levels: [String]
    let used: Bool
    let whole: Bool
    /// Of an image: channels, height, width.
    let shape: [Int]

    var id: String { name }
}

/// A usual value: a number or a text.
enum Example: Decodable {
    case number(Double)
    case text(String)

    init(from decoder: Decoder) throws {
        let value = try decoder.singleValueContainer()
        if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else {
            self = .text(try value.decode(String.self))
        }
    }

    var shown: String {
        switch self {
        case .number(let number):
            return plain(number)
        case .text(let text):
            return text
        }
    }
}

/// Return a number with six digits at most, as a person writes it.
func plain(_ number: Double) -> String {
    return String(format: "%.6g", number)
}
