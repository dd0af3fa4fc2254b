import SwiftUI

@main
struct ModelApp: App {
    var body: some Scene {
        WindowGroup {
            LoadingView()
        }
    }
}

/// Loads the model once, and says so if that cannot be done.
struct LoadingView: View {
    private let loaded = Result { try Model.bundled() }

    var body: some View {
        switch loaded {
        case .success(let model):
            ContentView(model: model)
        case .failure(let problem):
            Text("The model cannot be loaded: \(problem.localizedDescription)").padding()
        }
    }
}
