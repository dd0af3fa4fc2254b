import PhotosUI
import SwiftUI

/// The one screen: asks for a row or a picture, and shows what the model says of it.
struct ContentView: View {
    let model: Model
    @State private var typed: [String: String]
    @State private var chosen: [String: String]
    @State private var photograph: PhotosPickerItem?
    @State private var picture: UIImage?
    @State private var swaps = false
    @State private var takes = false
    @State private var answer = ""
    @State private var lines: [String] = []

    /// What is chosen of texts: one of these, or a level behind "=", whatever that is called.
    private static let other = "other:"
    private static let missing = "missing:"
    private let most = 8

    init(model: Model) {
        self.model = model
        var numbers: [String: String] = [:]
        var choices: [String: String] = [:]
        for input in model.signature.inputs {
            let example = input.example?.shown ?? ""
            if input.kind == "text" {
                choices[input.name] = input.levels.contains(example) ? "=" + example : Self.missing
            } else {
                numbers[input.name] = example
            }
        }
        _typed = State(initialValue: numbers)
        _chosen = State(initialValue: choices)
    }

    var body: some View {
        NavigationStack {
            Form {
                ForEach(model.signature.inputs.filter(\.used)) { input in
                    Section(input.name) { field(input) }
                }
                Section {
                    Button("Predict", action: predict)
                    if !answer.isEmpty {
                        Text(answer).font(.title).bold()
                        ForEach(lines, id: \.self) { Text($0).monospacedDigit() }
                    }
                }
            }
            .navigationTitle(model.signature.target.isEmpty ? "Prediction" : model.signature.target)
            .sheet(isPresented: $takes) {
                CameraView { taken in
                    picture = taken
                    predict()
                }
            }
        }
    }

    @ViewBuilder
    private func field(_ input: Input) -> some View {
        switch input.kind {
        case "image":
            PhotosPicker("Choose a picture", selection: $photograph, matching: .images)
                .onChange(of: photograph) { item in load(item) }
            if UIImagePickerController.isSourceTypeAvailable(.camera) {
                Button("Take a picture") { takes = true }
            }
            Toggle("Swap light and dark", isOn: $swaps)
            if let picture {
                Image(uiImage: picture).resizable().scaledToFit().frame(maxHeight: 160)
                    .accessibilityLabel("The picture that is predicted")
            }
        case "text":
            Picker(input.name, selection: text(of: input.name, in: $chosen)) {
                ForEach(input.levels, id: \.self) { Text($0).tag("=" + $0) }
                Text("another …").tag(Self.other)
                Text("missing").tag(Self.missing)
            }
            if chosen[input.name] == Self.other {
                TextField("another …", text: text(of: input.name, in: $typed)).textInputAutocapitalization(.never)
            }
        default:
            TextField("missing", text: text(of: input.name, in: $typed)).keyboardType(.numbersAndPunctuation)
            Text(range(input)).font(.footnote).foregroundStyle(.secondary)
        }
    }

    private func text(of name: String, in texts: Binding<[String: String]>) -> Binding<String> {
        return Binding(get: { texts.wrappedValue[name] ?? "" }, set: { texts.wrappedValue[name] = $0 })
    }

    private func range(_ input: Input) -> String {
        guard let low = input.low, let high = input.high else {
            return "a number; empty: missing"
        }
        return "\(plain(low)) to \(plain(high)) in training; empty: missing"
    }

    private func load(_ item: PhotosPickerItem?) {
        guard let item else { return }
        Task { @MainActor in
            guard let data = try? await item.loadTransferable(type: Data.self), let image = UIImage(data: data) else {
                (picture, answer, lines) = (nil, "This is no picture that the phone can read.", [])
                return
            }
            picture = image
            predict()
        }
    }

    private func predict() {
        do {
            var row: [String: Value] = [:]
            for input in model.signature.inputs where input.used {
                row[input.name] = try value(input)
            }
            show(try model.predict(row))
        } catch {
            (answer, lines) = (error.localizedDescription, [])
        }
    }

    private func value(_ input: Input) throws -> Value {
        switch input.kind {
        case "image":
            guard let picture, let read = Picture(picture) else {
                throw Problem("Take or choose a picture first.")
            }
            return .image(read.scaled(input.shape, inverted: swaps))
        case "text":
            let choice = chosen[input.name] ?? Self.missing
            if choice == Self.other {
                return .text(typed[input.name] ?? "")
            }
            return .text(choice == Self.missing ? "" : String(choice.dropFirst()))
        default:
            let written = (typed[input.name] ?? "").trimmingCharacters(in: .whitespaces)
            if written.isEmpty {
                return .number(Float.nan)
            }
            guard let number = Float(written.replacingOccurrences(of: ",", with: ".")), number.isFinite else {
                throw Problem("\(input.name): \(written) is no number")
            }
            return .number(number)
        }
    }

    private func show(_ prediction: Prediction) {
        switch prediction {
        case .value(let value):
            (answer, lines) = (plain(Double(value)), [])
        case .label(let label, let probabilities):
            let likeliest = probabilities.indices.sorted { probabilities[$0] > probabilities[$1] }.prefix(most)
            answer = label
            lines = likeliest.map { index in
                "\(model.signature.classes[index])  \(String(format: "%.1f", 100 * probabilities[index])) %"
            }
        }
    }
}

/// The camera, for one picture.
struct CameraView: UIViewControllerRepresentable {
    let taken: (UIImage) -> Void
    @Environment(\.dismiss) private var dismiss

    func makeUIViewController(context: Context) -> UIImagePickerController {
        let camera = UIImagePickerController()
        camera.sourceType = .camera
        camera.delegate = context.coordinator
        return camera
    }

    func updateUIViewController(_ controller: UIImagePickerController, context: Context) {}

    func makeCoordinator() -> Coordinator {
        return Coordinator(self)
    }

    final class Coordinator: NSObject, UIImagePickerControllerDelegate, UINavigationControllerDelegate {
        private let view: CameraView

        init(_ view: CameraView) {
            self.view = view
        }

        func imagePickerController(
            _ picker: UIImagePickerController,
            didFinishPickingMediaWithInfo info: [UIImagePickerController.InfoKey: Any]
        ) {
            if let image = info[.originalImage] as? UIImage {
                view.taken(image)
            }
            view.dismiss()
        }

        func imagePickerControllerDidCancel(_ picker: UIImagePickerController) {
            view.dismiss()
        }
    }
}
