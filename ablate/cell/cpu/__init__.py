"""The CPU backend: kernels generated from a trace, compiled by Numba and called from PyTorch."""
