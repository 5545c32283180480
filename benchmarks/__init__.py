"""What the project is measured by: suites for pytest-benchmark, a whole update beside its peers, two commits."""
