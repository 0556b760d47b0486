"""Copy: copies of nodes and of graphs."""

from fastgrad._native.graph.handle cimport Handle

cdef Handle node_copy(Handle handle)
cdef Handle graph_copy(Handle handle, object memo)
