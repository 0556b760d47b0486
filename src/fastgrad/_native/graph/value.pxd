"""Value: what other native modules need to know of the class."""

cdef bint slots_check() noexcept  # `data` and `grad` of Value are unpatched
