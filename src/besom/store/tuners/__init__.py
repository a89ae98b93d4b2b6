"""The folders that other tuners write, read as studies of Optuna's."""
