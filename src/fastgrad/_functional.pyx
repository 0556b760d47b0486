"""Operations as functions, of Values and of plain numbers; users find them in fastgrad.functional.

Layer: above _engine.
May cimport: _engine, _handle, _ops.
"""

from fastgrad._engine cimport call_binary, call_parameter, call_unary
from fastgrad._handle cimport Handle

include "generated/functional.pxi"
