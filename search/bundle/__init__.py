"""A promoted model as a folder that any runtime can check and load; needs numpy and onnxruntime, nothing else."""
