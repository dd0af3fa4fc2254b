"""A promoted model on a phone: one small file, and the apps around it."""
