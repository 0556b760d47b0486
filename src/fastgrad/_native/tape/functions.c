/* The table's own functions, once for all files that replay tapes. */
#undef FASTGRAD_FUNCTIONS_DECLARED
#define FASTGRAD_FUNCTIONS_EXTERN
#include "functions/functions.h"
