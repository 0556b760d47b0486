"""Copy: copies of nodes and of graphs.

Layer: above _graph. Cimports it, _arena, _engine, _fused, _handle.
"""

from fastgrad._handle cimport Handle

cdef Handle node_copy(Handle handle)
cdef Handle graph_copy(Handle handle, object memo)
