"""Graph: what a node looks like from Python, and copies of graphs.

Layer: above _engine, _fused. Cimports them.
"""

from fastgrad._arena cimport node_id
from fastgrad._handle cimport Handle

cdef list node_operands(node_id id)
cdef object node_label(node_id id)
cdef Handle node_copy(Handle handle, object memo)
