// swift-tools-version: 5.9
// An app as a Swift package: Xcode 15 or later opens this folder as it is.
import AppleProductTypes
import PackageDescription

let package = Package(
    name: "{{title}}",
    platforms: [.iOS("16.0")],
    products: [
        .iOSApplication(
            name: "{{title}}",
            targets: ["ModelApp"],
            bundleIdentifier: "app.sweep.{{id}}",
            displayVersion: "1.0",
            bundleVersion: "1",
            appIcon: .placeholder(icon: .chart),
            accentColor: .presetColor(.blue),
            supportedDeviceFamilies: [.pad, .phone],
            supportedInterfaceOrientations: [.portrait, .landscapeLeft, .landscapeRight],
            capabilities: [
                .camera(purposeString: "A picture is predicted on this phone, and goes nowhere.")
            ]
        )
    ],
    dependencies: [
        .package(url: "https://github.com/microsoft/onnxruntime-swift-package-manager", exact: "{{runtime}}")
    ],
    targets: [
        .executableTarget(
            name: "ModelApp",
            dependencies: [.product(name: "onnxruntime", package: "onnxruntime-swift-package-manager")],
            path: "Sources",
            resources: [.copy("Resources/model.ort"), .copy("Resources/signature.json")]
        )
    ]
)
