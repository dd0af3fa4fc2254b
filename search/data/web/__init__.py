"""Getting data by URL: a guarded client, downloads, archives, and the public hubs of data sets."""
