/* What the hand-written C uses of Python, for compiling it where no Python's headers are.
 * It includes nothing: what a companion needs of the C library it has to include by itself. */
#include <stddef.h>

void *PyMem_RawMalloc(size_t size);
void *PyMem_RawCalloc(size_t count, size_t size);
void *PyMem_RawRealloc(void *memory, size_t size);
void PyMem_RawFree(void *memory);
