"""Errors: what native code raises is worded by `fastgrad.errors.explain`, here and nowhere else."""

cdef object error_of(str name, str expected, str got, str where=*, str remedy=*)
cdef str described(object o)
cdef str shown(object o)
cpdef list items_expect(object given, str expected, str where)
cpdef object whole_expect(object given, str expected, str where)
cpdef bint flag_expect(object given, str where) except -1
