import Foundation
import OnnxRuntimeBindings

/// What the model reads of one input: NaN is a missing number, "" a missing text.
enum Value {
    case number(Float)
    case text(String)
    /// (channels, height, width) in [0, 1].
    case image([Float])
}

/// What the model says of a row.
enum Prediction {
    case label(String, probabilities: [Float])
    case value(Float)
}

/// What is wrong with what was entered, or with the model's answer.
struct Problem: LocalizedError {
    let errorDescription: String?

    init(_ text: String) {
        errorDescription = text
    }
}

/// The model: `model.ort`, run by onnxruntime on this phone.
final class Model {
    let signature: Signature
    private let environment: ORTEnv
    private let session: ORTSession

    init(path: String, signature: Signature) throws {
        self.signature = signature
        environment = try ORTEnv(loggingLevel: ORTLoggingLevel.error)
        session = try ORTSession(env: environment, modelPath: path, sessionOptions: nil)
    }

    /// Return the model that the app ships.
    static func bundled() throws -> Model {
        guard let model = Bundle.module.path(forResource: "model", ofType: "ort"),
            let described = Bundle.module.url(forResource: "signature", withExtension: "json")
        else {
            throw Problem("model.ort or signature.json is not in the app")
        }
        let signature = try JSONDecoder().decode(Signature.self, from: Data(contentsOf: described))
        return try Model(path: model, signature: signature)
    }

    /// Predict one row.
    func predict(_ row: [String: Value]) throws -> Prediction {
        var feeds: [String: ORTValue] = [:]
        for input in signature.inputs where input.used {
            guard let value = row[input.name] else {
                throw Problem("\(input.name) is not given")
            }
            feeds[input.name] = try tensor(value, shape: input.shape)
        }
        if signature.classes.isEmpty {
            let found = try session.run(withInputs: feeds, outputNames: ["prediction.value"], runOptions: nil)
            guard let value = try floats(found["prediction.value"]).first else {
                throw Problem("the model gave no value")
            }
            return .value(value)
        }
        let names: Set<String> = ["prediction.label", "prediction.probabilities"]
        let found = try session.run(withInputs: feeds, outputNames: names, runOptions: nil)
        guard let label = try found["prediction.label"]?.tensorStringData().first else {
            throw Problem("the model gave no label")
        }
        return .label(label, probabilities: try floats(found["prediction.probabilities"]))
    }

    private func tensor(_ value: Value, shape: [Int]) throws -> ORTValue {
        switch value {
        case .text(let text):
            return try ORTValue(tensorStringData: [text], shape: [1, 1])
        case .number(let number):
            return try floating([number], shape: [1, 1])
        case .image(let pixels):
            return try floating(pixels, shape: [1] + shape.map { NSNumber(value: $0) })
        }
    }

    private func floating(_ values: [Float], shape: [NSNumber]) throws -> ORTValue {
        let data = values.withUnsafeBytes { NSMutableData(bytes: $0.baseAddress!, length: $0.count) }
        return try ORTValue(tensorData: data, elementType: ORTTensorElementDataType.float, shape: shape)
    }

    private func floats(_ value: ORTValue?) throws -> [Float] {
        guard let value else {
            throw Problem("the model gave nothing")
        }
        let data = try value.tensorData() as Data
        return data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
}
