"""Value: what other native modules need to know of the class."""

cdef bint slots_check() noexcept  # nobody has put something else in place of `data` and `grad`
