"""What else hears of a study while it runs: MLflow, Weights & Biases, TensorBoard, each in a thread of its own."""
