"""Getting data and splitting it: references -> `Dataset` -> fingerprint, description, split."""
