"""The core workloads of the Yahoo! Cloud Serving Benchmark (Cooper et al., SoCC 2010), A to F.

Own implementation: separate client processes over gRPC, and after every run the whole store is held against what the
clients were told.
"""
