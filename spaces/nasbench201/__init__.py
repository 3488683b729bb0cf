"""NAS-Bench-201: cells of four nodes with one of five operations on each of six edges."""

from weaknas.spaces.nasbench201.space import NASBench201

__all__ = ["NASBench201"]
