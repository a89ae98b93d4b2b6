"""The compiled engine, and the cheaper kernels that it may take in place of Keras's."""
