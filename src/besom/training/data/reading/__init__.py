"""Where the packaged datasets come from: files, folders, Keras's cache."""
