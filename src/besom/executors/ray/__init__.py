"""The Ray executor: workers on a cluster that Ray manages."""
